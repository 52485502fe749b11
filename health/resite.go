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
		site:    site,
		targets: map[Target]*entry{},
		echoes:  map[netip.Addr]echo{},
		lost:    map[netip.Addr]bool{},
		back:    map[netip.Addr]time.Time{},

		witnesses: map[netip.Addr]Heard{},

		siblings: map[netip.Addr][]netip.Addr{},
	}
	moved := readdressed(old.site, site)
	former := formerJudges(old.site)
	for _, judge := range site.Judges() {
		check, _ := site.Check(judge.VIP.Check)
		was := former[askedOf(judge.VIP, check)]
		same := sameProbe(old.site, was, judge.VIP, check)
		for _, server := range judge.Servers {
			target := Target{server, judge.VIP.Prefix}
			if known := old.targets[Target{server, was}]; known != nil && same && !moved[server] {
				b.targets[target] = known
				continue
			}
			b.targets[target] = newEntry(check)
		}
	}
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

// A question is what tells judges apart: a check goes to one VIP, or, through
// the servers' own addresses, to all VIPs of a family alike.
type question struct {
	vip    netip.Prefix // zero through the servers' addresses
	check  topology.CheckName
	family bool // Is4
}

func askedOf(vip topology.VIP, check topology.Check) question {
	if check.Through == topology.ThroughAddress {
		return question{check: check.Name, family: vip.Prefix.Addr().Is4()}
	}
	return question{vip: vip.Prefix}
}

// formerJudges finds the judges of the old site by their questions: one whose
// VIP has gone may live on as another VIP's.
func formerJudges(old *topology.Site) map[question]netip.Prefix {
	former := map[question]netip.Prefix{}
	if old == nil {
		return former
	}
	for _, judge := range old.Judges() {
		check, _ := old.Check(judge.VIP.Check)
		former[askedOf(judge.VIP, check)] = judge.VIP.Prefix
	}
	return former
}

// sameProbe reports whether the judge was probed in the same way in the old
// site, as was.
func sameProbe(old *topology.Site, was netip.Prefix, vip topology.VIP, check topology.Check) bool {
	if old == nil {
		return false
	}
	before, known := old.VIP(was)
	if !known || check.Through != topology.ThroughAddress && !slices.Equal(before.Addresses, vip.Addresses) {
		return false
	}
	former, known := old.Check(before.Check)
	return known && reflect.DeepEqual(former, check)
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
