package bgp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/routesteer/routesteer/steer"
)

const (
	// sending is how long routers are given to read what they are sent.
	sending = time.Second
	// acquaintance is how long routers are given to find out about a next hop that
	// is new to them, while the old one still has the traffic. FRR takes less than
	// a millisecond when it is idle, and some 20 on a machine that is overloaded.
	acquaintance = 100 * time.Millisecond
)

// A slot is one path of a prefix.
type slot struct {
	id uint32 // path identifier, from 1 on
	to target
}

// A target is where a path leads.
type target struct {
	hop        steer.NextHop
	weighted   bool        // the prefix has paths of different weight: say so
	attributes *attributes // what else it carries
}

func targets(hops []steer.NextHop, attributes *attributes) []target {
	if len(hops) == 0 {
		return nil
	}
	weighted := slices.ContainsFunc(hops, func(h steer.NextHop) bool { return h.Weight != hops[0].Weight })
	all := make([]target, len(hops))
	for i, hop := range hops {
		all[i] = target{hop, weighted, attributes}
	}
	return all
}

// A step is from the paths that a prefix has to those that it should have:
// what stays, what takes the place of something, what comes besides, and what
// goes.
type step struct {
	after           []slot // all that it has then, by id
	placed, besides []slot
	gone            []slot
}

// newStep finds the step. Paths whose next hop stays keep their identifier, and
// new ones take those of others, in place. If gentle, they take free ones and
// nothing is replaced.
func newStep(have []slot, want []target, gentle bool) step {
	var s step
	arriving := slices.Clone(want)
	for _, slot := range have {
		if i := slices.Index(arriving, slot.to); i >= 0 {
			arriving = slices.Delete(arriving, i, i+1)
			s.after = append(s.after, slot)
			continue
		}
		s.gone = append(s.gone, slot)
	}
	for !gentle && len(arriving) > 0 && len(s.gone) > 0 {
		s.placed = append(s.placed, slot{s.gone[0].id, arriving[0]})
		s.gone, arriving = s.gone[1:], arriving[1:]
	}
	s.after = append(s.after, s.placed...)
	for id := uint32(1); len(arriving) > 0; id++ {
		taken := func(s slot) bool { return s.id == id }
		if !slices.ContainsFunc(s.after, taken) && !slices.ContainsFunc(s.gone, taken) {
			s.besides = append(s.besides, slot{id, arriving[0]})
			s.after, arriving = append(s.after, s.besides[len(s.besides)-1]), arriving[1:]
		}
	}
	slices.SortFunc(s.after, func(a, b slot) int { return cmp.Compare(a.id, b.id) })
	return s
}

// announce makes the table what is wanted for some prefixes; nil withdraws. Those that are gentle change for no fault.
// All announcements come before any withdrawal.
func (s *speaker) announce(ctx context.Context, want map[netip.Prefix][]target, gentle map[netip.Prefix]bool) error {
	e := exchange{maker: pathMaker{}, after: map[netip.Prefix][]slot{}}
	known := s.nextHops()
	for p, to := range want {
		aside := gentle[p] && len(s.book[p]) > 0 && known.lacks(to) && s.sessions.takesAddPath(familyOf(p))
		e.add(p, newStep(s.book[p], to, aside))
		e.pause = e.pause || aside
	}
	if e.empty() {
		return nil
	}
	e.sort()
	err := s.hand(ctx, e)
	s.memory.save(s.hops())
	return err
}

// hand hands an exchange to the server. If it ends early, what was done is read
// back.
func (s *speaker) hand(ctx context.Context, e exchange) error {
	if len(e.added) > 0 {
		last := e.added[len(e.added)-1]
		s.sent = s.sessions.expect(announcement{last.prefix, last.slot.to.hop.Address})
	}
	err := e.inBatches(ctx, e.added, func(paths []*apiutil.Path) error {
		open := s.sessions.gate.shut()
		defer open()
		_, err := s.server.AddPath(apiutil.AddPathRequest{Paths: paths})
		return err
	})
	if err == nil && e.inOrder {
		err = wait(ctx, s.sent, sending)
	}
	if err == nil && e.pause {
		err = wait(ctx, nil, acquaintance)
	}
	if err == nil {
		err = e.inBatches(ctx, e.removed, func(paths []*apiutil.Path) error {
			return s.server.DeletePath(apiutil.DeletePathRequest{Paths: paths})
		})
	}
	if err != nil {
		return errors.Join(err, s.reread())
	}
	for p, slots := range e.after {
		if s.book[p] = slots; len(slots) == 0 {
			delete(s.book, p)
		}
	}
	return nil
}

// wait waits for news, but no longer than d.
func wait(ctx context.Context, news <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-news:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nextHopSet is the next hops that routers know.
type nextHopSet map[netip.Addr]bool

// nextHops are those of the book.
func (s *speaker) nextHops() nextHopSet {
	all := nextHopSet{}
	for _, slots := range s.book {
		for _, slot := range slots {
			all[slot.to.hop.Address] = true
		}
	}
	return all
}

func (n nextHopSet) lacks(all []target) bool {
	return slices.ContainsFunc(all, func(to target) bool { return !n[to.hop.Address] })
}

// hops is the book as it is remembered.
func (s *speaker) hops() map[netip.Prefix][]steer.NextHop {
	all := make(map[netip.Prefix][]steer.NextHop, len(s.book))
	for p, slots := range s.book {
		if s.leaving[p].IsZero() {
			all[p] = hopsOf(slots)
		}
	}
	return all
}

func hopsOf(slots []slot) []steer.NextHop {
	hops := make([]steer.NextHop, len(slots))
	for i, slot := range slots {
		hops[i] = slot.to.hop
	}
	return normal(hops)
}

// reread makes the book equal the table. What its paths carry is taken for
// something unknown, so that whoever wants them makes them anew.
func (s *speaker) reread() error {
	clear(s.book)
	unknown := new(attributes)
	return s.table(func(p netip.Prefix, slots []slot) {
		for i := range slots {
			slots[i].to.attributes = unknown
		}
		s.book[p] = slots
	})
}

// routes lists the paths in the server's table.
func (s *speaker) routes() ([]steer.Route, error) {
	routes := make([]steer.Route, 0, len(s.book))
	details := map[*attributes]string{}
	err := s.table(func(p netip.Prefix, slots []slot) {
		if !s.leaving[p].IsZero() {
			return
		}
		carries := s.offers[p]
		if _, known := details[carries]; !known {
			details[carries] = fmt.Sprintf("announced by AS %d%s", s.settings.asn, s.offers.words(p))
		}
		stray := len(s.book[p]) == 0 || s.book[p][0].to.attributes != carries
		routes = append(routes, steer.Route{Prefix: p, NextHops: hopsOf(slots), Stray: stray, Detail: details[carries]})
	})
	return routes, err
}

// table reads the server's table.
func (s *speaker) table(each func(netip.Prefix, []slot)) error {
	for _, family := range []bgp.Family{bgp.RF_IPv4_UC, bgp.RF_IPv6_UC} {
		request := apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: family}
		err := s.server.ListPath(request, func(nlri bgp.NLRI, paths []*apiutil.Path) {
			prefix, is := nlri.(*bgp.IPAddrPrefix)
			if slots := readSlots(paths); is && len(slots) > 0 {
				each(prefix.Prefix, slots)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func readSlots(paths []*apiutil.Path) []slot {
	slots := make([]slot, 0, len(paths))
	for _, path := range paths {
		if s, ok := readSlot(path); ok {
			slots = append(slots, s)
		}
	}
	slices.SortFunc(slots, func(a, b slot) int { return cmp.Compare(a.id, b.id) })
	return slots
}
