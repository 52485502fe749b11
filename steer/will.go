package steer

import (
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A Will is what people ask of servers and VIPs, whatever checks say: operators'
// drains and pins, and the file's maintenance windows. The zero Will asks for
// nothing.
type Will struct {
	Drained map[topology.ServerName]string // out of service, and what to call it: "drained", "in maintenance until 04:00"
	Off     map[Place]string               // the same, of one VIP only
	Pins    map[netip.Prefix]Pin           // of entries' first prefixes
	Resumed time.Time                      // an operator let failures move traffic again that fell together before

	Recalled Recall // goes to those that are well, though failback be manual or never, at any time of day
	Hurried  Recall // the same, whatever the failback policy waits for
}

// A Place is a server as one VIP sees it: the VIP is the first prefix of its entry.
type Place struct {
	Server topology.ServerName
	VIP    netip.Prefix
}

// A Pin sends a VIP to one server, as long as it can carry it.
type Pin struct {
	Server topology.ServerName
	Force  bool // whatever checks and drains say
}

// Apart are the VIPs, by the first prefix of their entries, of which something is
// asked that is asked of no other: they are cohorts of their own. Sorted.
func (w Will) Apart() []netip.Prefix {
	var apart []netip.Prefix
	for prefix := range w.Pins {
		apart = append(apart, prefix)
	}
	for place := range w.Off {
		apart = append(apart, place.VIP)
	}
	slices.SortFunc(apart, ComparePrefix)
	return slices.Compact(apart)
}

// Off says why no new traffic of the cohort is to go to the server though it be
// well, as in "web1 is drained"; "" when nothing speaks against it. It may be an
// operator's word, the file's, or the server's own.
func (in *Input) Off(name topology.ServerName, vip *Cohort) string {
	if what := in.takenOff(name, vip); what != "" {
		return what
	}
	if in.noted(name, vip)&leaves != 0 {
		return asking(in.state(name, vip).Word)
	}
	return ""
}

// takenOff is the same of people's words alone.
func (in *Input) takenOff(name topology.ServerName, vip *Cohort) string {
	if what := in.Drained[name]; what != "" {
		return what
	}
	if len(in.Will.Off) > 0 {
		if what := in.Will.Off[Place{name, vip.Prefix}]; what != "" {
			return what
		}
	}
	if in.Cohorts.idles(name, vip) {
		return "given weight 0"
	}
	return ""
}

// asking is what a server is that asks for no new traffic.
func asking(word health.Word) string {
	if word.Text == "" {
		return "asking to be drained"
	}
	return "asking to be drained (" + word.Text + ")"
}

// share is the server's weight among the next hops of a route of the cohort: less
// than its own where it asks for less.
func (in *Input) share(server *topology.Server, vip *Cohort) int {
	weight := vip.WeightOf(*server)
	if in.noted(server.Name, vip).whole() {
		return max(1, weight)
	}
	if percent := in.state(server.Name, vip).Word.Percent; percent > 0 {
		weight = (weight*percent + 50) / 100
	}
	return max(1, weight)
}

// pin is where an operator pinned the cohort, if that is a server of it.
func (in *Input) pin(vip *Cohort) (Pin, bool) {
	if len(in.Pins) == 0 {
		return Pin{}, false
	}
	pin, pinned := in.Pins[vip.Prefix]
	return pin, pinned && vip.has(pin.Server)
}

// pinned decides for a VIP that an operator pinned to a server, and reports
// whether the pin holds: it steps aside while the server cannot carry the VIP, so
// that it makes no outage, unless it is forced.
func (d *decision) pinned(vip *Cohort) (Want, bool) {
	pin, pinned := d.pin(vip)
	if !pinned {
		return Want{}, false
	}
	current := d.previous[vip.index].Servers
	there := len(current) == 1 && current[0] == pin.Server
	if !pin.Force && !d.Eligible(pin.Server, vip) && !(there && d.holds(pin.Server, vip)) {
		return Want{}, false
	}
	why := "pinned to " + string(pin.Server)
	if against := d.Against(pin.Server, vip); pin.Force && against != "" {
		why += ", by force: " + against
	}
	return Want{Servers: []topology.ServerName{pin.Server}, Cause: Pinned, Why: why}, true
}

// Against says why no new traffic of the cohort may go to the server, as in "web1 is
// down: connection refused"; "" if it may.
func (in *Input) Against(name topology.ServerName, vip *Cohort) string {
	switch {
	case in.Eligible(name, vip):
		return ""
	case vip.has(name) && in.Off(name, vip) == "" && in.verdict(name, vip) == health.Unknown:
		return string(name) + " is not known to be up yet"
	default:
		return in.plight(name, vip)
	}
}
