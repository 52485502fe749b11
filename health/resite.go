package health

import (
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// SetSite changes the site, keeping what is known of targets and addresses
// that are in both and whose check is the same.
func (b *Board) SetSite(site *topology.Site) {
	old := *b
	*b = Board{
		site:   site,
		seats:  map[Target]int{},
		echoes: map[netip.Addr]echo{},
		lost:   map[netip.Addr]bool{},
		back:   map[netip.Addr]time.Time{},

		targetsOf: map[topology.ServerName][]Target{},
		wholesOf:  map[topology.ServerName][]Target{},

		standings: map[topology.ServerName]Standing{},
		witnesses: map[netip.Addr]Heard{},

		siblings: map[netip.Addr][]netip.Addr{},
	}
	moved := readdressed(old.site, site)
	former := formerProbes(old.site)
	probes, parts := site.Probes()
	for _, probe := range probes {
		was, asked := former[askedOf(probe)]
		same := asked && sameProbe(was, probe)
		for _, server := range probe.Servers {
			target := Target{server, probe.VIP.Prefix, probe.Member}
			next := newEntry(probe.Check)
			if known := old.entry(Target{server, was.VIP.Prefix, was.Member}); known != nil && same && !moved[server] {
				next = *known
			}
			b.targetsOf[server] = append(b.targetsOf[server], target)
			b.seats[target] = len(b.entries)
			b.entries = append(b.entries, next)
		}
	}
	b.setGroups(old, parts)
	for _, address := range site.Policy.Witness {
		if heard, known := old.witnesses[address]; known {
			b.witnesses[address] = heard
		}
	}
	for _, server := range site.Servers {
		for _, address := range server.Addresses {
			b.keepEcho(old, address)
			for _, other := range server.AddressesFor(address) {
				if other != address {
					b.siblings[address] = append(b.siblings[address], other)
				}
			}
		}
	}
}

// readdressed returns the servers whose addresses differ: what was seen at the
// old ones says nothing about the new.
func readdressed(old, site *topology.Site) map[topology.ServerName]bool {
	moved := map[topology.ServerName]bool{}
	if old == nil {
		return moved
	}
	for _, server := range site.Servers {
		if was, known := old.Server(server.Name); known && !slices.Equal(was.Addresses, server.Addresses) {
			moved[server.Name] = true
		}
	}
	return moved
}

// setGroups makes the checks of several. One that was there keeps the time of its
// verdict, if the members that are the same now still give that.
func (b *Board) setGroups(old Board, parts map[netip.Prefix][]topology.Part) {
	if len(parts) == 0 {
		return
	}
	b.groups, b.wholes = map[Target]*group{}, map[Target][]Target{}
	for _, judge := range b.site.Judges() {
		check, _ := b.site.Check(judge.VIP.Check)
		if check.Group == nil {
			continue
		}
		for _, server := range judge.Servers {
			whole := Target{Server: server, VIP: judge.VIP.Prefix}
			g := &group{parts: parts[judge.VIP.Prefix], needs: check.Group.Needs}
			b.groups[whole] = g
			b.wholesOf[server] = append(b.wholesOf[server], whole)
			b.inherit(whole, g)
			if was := old.groups[whole]; was != nil && was.Verdict == g.Verdict {
				g.Since, g.Fell = was.Since, was.Fell
			}
			for _, part := range b.Parts(whole) {
				b.wholes[part] = append(b.wholes[part], whole)
			}
		}
	}
}

// A question is what tells probes apart: a check goes to one VIP, or, through
// the servers' own addresses, to all VIPs of a family alike.
type question struct {
	vip    netip.Prefix // zero through the servers' addresses
	check  topology.CheckName
	member bool
	family bool // Is4
}

func askedOf(probe topology.Probe) question {
	q := question{member: probe.Member != ""}
	if probe.Check.Through == topology.ThroughAddress {
		q.check, q.family = probe.Check.Name, probe.VIP.Prefix.Addr().Is4()
		return q
	}
	q.vip, q.check = probe.VIP.Prefix, probe.Member
	return q
}

// formerProbes finds the probes of the old site by their questions: one whose
// VIP has gone may live on as another VIP's.
func formerProbes(old *topology.Site) map[question]topology.Probe {
	former := map[question]topology.Probe{}
	if old == nil {
		return former
	}
	probes, _ := old.Probes()
	for _, probe := range probes {
		former[askedOf(probe)] = probe
	}
	return former
}

// sameProbe reports whether two probes go the same way.
func sameProbe(was, is topology.Probe) bool {
	sameAddresses := is.Check.Through == topology.ThroughAddress || slices.Equal(was.VIP.Addresses, is.VIP.Addresses)
	return sameAddresses && reflect.DeepEqual(was.Check, is.Check)
}

func (b *Board) keepEcho(old Board, address netip.Addr) {
	state, known := old.echoes[address]
	switch {
	case b.site.Alive.Off:
		b.echoes[address] = echo{state: EchoOff}
	case known && state.state != EchoOff:
		b.echoes[address] = state
	default:
		b.echoes[address] = echo{state: EchoNever}
	}
	if at, known := old.back[address]; known {
		b.back[address] = at
	}
	// What only echo could end ends with it.
	if old.lost[address] && !(b.site.Alive.Off && state.state == EchoLost) {
		b.lost[address] = true
	}
}
