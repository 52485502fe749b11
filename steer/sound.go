package steer

import (
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// had are the servers of the VIP that have its traffic, or have had it, sorted:
// those at which connections may be.
func (d *decision) had(vip *Cohort, previous *Want, now []topology.ServerName) []topology.ServerName {
	had := previous.had
	if had == nil {
		had = previous.Servers
	}
	for _, names := range [][]topology.ServerName{previous.Servers, now} {
		for _, name := range names {
			if at, known := slices.BinarySearch(had, name); !known {
				had = slices.Insert(slices.Clip(had), at, name) // never in place: the former is shared
			}
		}
	}
	if slices.ContainsFunc(had, func(name topology.ServerName) bool { return !vip.has(name) }) {
		had = slices.DeleteFunc(slices.Clone(had), func(name topology.ServerName) bool { return !vip.has(name) })
	}
	return had
}

// keep are the addresses of servers at which connections may stay, sorted: of
// those that nothing is known against but an operator's word. What only fails
// its checks ends its connections itself, if they do not go on.
func (d *decision) keep(vip *Cohort, had []topology.ServerName, before []netip.Addr) []netip.Addr {
	var some [8]netip.Addr // room for most
	keep := some[:0]
	for _, name := range had {
		if d.verdict(name, vip) == health.Down {
			continue
		}
		for _, address := range d.Site.Servers[d.Cohorts.server(name, vip)].Addresses {
			if !d.lost(address) {
				keep = append(keep, address)
			}
		}
	}
	slices.SortFunc(keep, netip.Addr.Compare)
	if slices.Equal(keep, before) {
		return before
	}
	return slices.Clone(keep)
}
