package bgp

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A route that is withdrawn while packets still follow it is missed until all
// routers have found another, which many do not know of before: a router tells
// others only of its best path. GRACEFUL_SHUTDOWN (RFC 8326) makes ours the worst,
// so that another, if there is any, is found while ours still works.
//
// Such a route counts as withdrawn from the first moment: Routes leaves it out,
// the memory does not have it, and whoever wants it back announces it as ever.

// gracefulShutdown is GRACEFUL_SHUTDOWN.
func gracefulShutdown() topology.Community { return topology.Community{Global: 65535} }

// leaving returns the attributes with the community, and with the LOCAL_PREF that
// those who see it give a route: peers of our own AS take ours.
func (a *attributes) leaving() *attributes {
	last := a.Attributes
	last.LocalPref = 0
	if !slices.Contains(last.Communities, gracefulShutdown()) {
		last.Communities = append(slices.Clip(last.Communities), gracefulShutdown())
	}
	return newAttributes(a.asn, last)
}

// aims are the targets of prefixes that are wanted by some next hops; without
// next hops they take leave, if the file says so.
func (s *speaker) aims(want map[netip.Prefix][]steer.NextHop) map[netip.Prefix][]target {
	aims := make(map[netip.Prefix][]target, len(want))
	var gone []netip.Prefix
	for p, hops := range want {
		switch {
		case len(hops) > 0:
			delete(s.leaving, p)
			aims[p] = targets(hops, s.offers[p])
		case s.settings.shutdown == 0:
			aims[p] = nil
		case s.leaving[p].IsZero() && len(s.book[p]) > 0:
			gone = append(gone, p)
		}
	}
	s.dismiss(gone, aims)
	return aims
}

// dismiss has prefixes of the book take leave.
func (s *speaker) dismiss(prefixes []netip.Prefix, aims map[netip.Prefix][]target) {
	if len(prefixes) == 0 {
		return
	}
	due := time.Now().Add(s.settings.shutdown)
	last := map[*attributes]*attributes{}
	for _, p := range prefixes {
		carries := s.offers[p]
		if last[carries] == nil {
			last[carries] = carries.leaving()
		}
		s.leaving[p] = due
		aims[p] = targets(hopsOf(s.book[p]), last[carries])
	}
	time.AfterFunc(s.settings.shutdown, s.sessions.signal) // who hears it looks, and so departs
}

// depart withdraws the prefixes whose time is over.
func (s *speaker) depart(ctx context.Context) error {
	gone := map[netip.Prefix][]target{}
	for p, due := range s.leaving {
		if !time.Now().Before(due) {
			gone[p] = nil
		}
	}
	if err := s.announce(ctx, gone, nil); err != nil {
		return err
	}
	for p := range gone {
		delete(s.leaving, p)
	}
	return nil
}

// sayGoodbye has all prefixes take leave before the speaker ends, and waits. No
// driver uses the speaker any more.
func (s *speaker) sayGoodbye() {
	if s.settings.shutdown == 0 || !s.sessions.anyEstablished() {
		return
	}
	all := map[netip.Prefix][]steer.NextHop{}
	for p := range s.book {
		all[p] = nil
	}
	if len(all) == 0 {
		return
	}
	s.log.Info("routes are announced with GRACEFUL_SHUTDOWN before they are withdrawn", "prefixes", len(all), "for", s.settings.shutdown.String())
	if err := s.announce(context.Background(), s.aims(all), nil); err != nil {
		s.log.Warn("routes are withdrawn without GRACEFUL_SHUTDOWN", "err", err)
		return
	}
	_ = wait(context.Background(), nil, s.settings.shutdown) // it has no end before
}
