package steer

import (
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A sheet notes what a decision asks for time and again: looking it up costs more than
// all else that is done with it.
type sheet struct {
	notes []noted      // of each seat of each cohort; 0 for one that was not asked for
	clear []bool       // of each of the site's servers, whether it is up for all VIPs, and asks for no less than its share
	gone  []netip.Addr // addresses of the site's servers that are lost, sorted
}

// A noted verdict is one more than it, and whether the server asks for no new traffic, or
// a part of its share.
type noted uint8

const (
	leaves, partly noted = 0x80, 0x40
	well                 = noted(health.Up) + 1
)

// newSheet prepares to note what is known of the servers.
func newSheet(in Input) *sheet {
	s := &sheet{notes: make([]noted, in.Cohorts.seats), clear: make([]bool, len(in.Site.Servers))}
	summary, sums := in.Health.(Summary)
	for i, server := range in.Site.Servers {
		s.clear[i] = sums && summary.Standing(server.Name).Clear
		for _, address := range server.Addresses {
			if in.Health.Lost(address) {
				s.gone = append(s.gone, address)
			}
		}
	}
	slices.SortFunc(s.gone, netip.Addr.Compare)
	return s
}

// without is a new sheet of the same servers, of which some are not well.
func (s *sheet) without(cohorts *Cohorts, servers []topology.ServerName) *sheet {
	less := &sheet{notes: make([]noted, len(s.notes)), clear: slices.Clone(s.clear), gone: s.gone}
	for _, name := range servers {
		less.clear[cohorts.place(name)] = false
	}
	return less
}

func (in *Input) state(name topology.ServerName, vip *Cohort) health.State {
	return in.Health.State(health.Target{Server: name, VIP: vip.Judge})
}

func (in *Input) noted(name topology.ServerName, vip *Cohort) noted {
	return in.notedAt(vip.seat(name), name, vip)
}

// notedAt is noted of a server whose seat is known: -1 for none.
func (in *Input) notedAt(seat int, name topology.ServerName, vip *Cohort) noted {
	if in.sheet == nil || seat < 0 {
		return note(in.state(name, vip))
	}
	if in.sheet.clear[vip.seats[seat]] {
		return well
	}
	noted := &in.sheet.notes[vip.first+seat]
	if *noted == 0 {
		*noted = note(in.state(name, vip))
	}
	return *noted
}

func note(state health.State) noted {
	n := noted(state.Verdict) + 1
	if state.Word.Leave {
		n |= leaves
	} else if !state.Word.Whole() {
		n |= partly
	}
	return n
}

// eligible reports whether the server is up, and does not ask for no new traffic.
func (n noted) eligible() bool { return n.verdict() == health.Up && n&leaves == 0 }

// whole reports whether the server is up, and asks for no less than its share.
func (n noted) whole() bool { return n == well }

func (n noted) verdict() health.Verdict { return health.Verdict(n&^(leaves|partly) - 1) }

// clear reports whether one of the site's servers is up for all VIPs, and asks for no less
// than its share; false where nobody can say that without a look at each.
func (in *Input) clear(server int) bool {
	if in.sheet != nil {
		return in.sheet.clear[server]
	}
	summary, is := in.Health.(Summary)
	return is && summary.Standing(in.Site.Servers[server].Name).Clear
}

// lost reports whether another address of the server should be its next hop.
func (in *Input) lost(address netip.Addr) bool {
	if in.sheet == nil {
		return in.Health.Lost(address)
	}
	_, gone := slices.BinarySearchFunc(in.sheet.gone, address, netip.Addr.Compare)
	return gone
}
