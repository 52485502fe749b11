package steer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A reach is how servers are reached: by which of their addresses.
type reach struct {
	hops  []NextHop
	words []string  // for each server that is not reached by its first address, why
	due   time.Time // when a better address may get its traffic back; zero for never
}

func (r reach) why() string { return strings.Join(r.words, "; ") }

// reach picks the address of each server, of the family of a VIP's address. A
// server that was reached by one keeps it while it is well: what is lost is left
// at once, and better addresses get their traffic back by the failback policy, so
// that a network card that flaps does not make the next hop flap.
func (in *Input) reach(names []topology.ServerName, vip *Cohort, previous []NextHop) reach {
	r := reach{hops: make([]NextHop, 0, len(names))}
	for _, name := range names {
		i := in.Cohorts.server(name, vip)
		if i < 0 {
			continue
		}
		server := &in.Site.Servers[i]
		addresses := server.AddressesFor(vip.Prefix.Addr())
		if len(addresses) == 0 {
			continue
		}
		at, waiting := in.pick(addresses, vip.Failback, later(in.recall(in.Recalled, name, vip), in.recall(in.Hurried, name, vip)), previous)
		r.hops = append(r.hops, NextHop{Address: addresses[at], Weight: in.share(server, vip)})
		r.due = earlier(r.due, waiting.due)
		if at > 0 {
			r.words = append(r.words, fmt.Sprintf("%s is reached by %s: %s", name, addresses[at], waiting.why))
		}
	}
	if len(r.hops) == 1 {
		r.hops[0].Weight = 1 // nothing to share
	}
	SortNextHops(r.hops)
	return r
}

// pick returns the index of the address to use, and what a better one waits for. An
// operator's recall is of addresses that were well when it was said.
func (in *Input) pick(addresses []netip.Addr, failback topology.Failback, recalled time.Time, previous []NextHop) (int, wait) {
	present := slices.IndexFunc(addresses, func(a netip.Addr) bool {
		return slices.ContainsFunc(previous, func(h NextHop) bool { return h.Address == a })
	})
	best := slices.IndexFunc(addresses, func(a netip.Addr) bool { return !in.lost(a) })
	switch {
	case best < 0: // none is better than another
		return max(present, 0), wait{why: addresses[0].String() + " is lost, and so is this one"}
	case present < 0 || in.lost(addresses[present]):
		return best, wait{why: addresses[0].String() + " is lost"}
	case !in.Health.WellSince(addresses[best]).After(recalled) && !recalled.IsZero():
		return best, wait{why: addresses[0].String() + " is lost"}
	default:
		return in.keep(addresses, present, failback)
	}
}

// keep returns the first address before the present one that is due to have its
// traffic back, or else the present one.
func (in *Input) keep(addresses []netip.Addr, present int, failback topology.Failback) (int, wait) {
	if present == 0 {
		return present, wait{}
	}
	waiting := wait{why: addresses[0].String() + " is lost"}
	for i, address := range addresses[:present] {
		if in.lost(address) {
			continue
		}
		due := in.Health.WellSince(address).Add(failback.After)
		switch {
		case failback.Mode == topology.FailbackImmediate, failback.Mode == topology.FailbackAfter && !due.After(in.Now):
			return i, waiting
		case failback.Mode == topology.FailbackAfter && waiting.due.IsZero():
			waiting = wait{fmt.Sprintf("%s is back, and gets its traffic once it has been well for %s", address, failback.After), due}
		case failback.Mode == topology.FailbackAfter:
			waiting.due = earlier(waiting.due, due)
		default:
			waiting.why = fmt.Sprintf("%s is back; failback is %s", address, failback.Mode)
		}
	}
	return present, waiting
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
