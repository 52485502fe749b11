package bgp

import (
	"net/netip"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// The server packs what it has to send, withdrawals first. So a path that is
// announced and another that is withdrawn a moment later may leave in the other
// order, and the prefix is without a route in between. To whom that matters
// waits until the former has been sent.

// An announcement is a prefix by a next hop.
type announcement struct {
	prefix  netip.Prefix
	nextHop netip.Addr
}

// An expectation is of an announcement that is to be sent to some peers. A nil
// one expects nothing.
type expectation struct {
	of    announcement
	peers map[netip.Addr]bool // that have not been sent it
	done  chan struct{}       // closed when there are none left
}

// expect begins to look out for an announcement, which is not made yet, in place
// of any other: what is announced later is sent later. The channel is closed when
// all peers that take several paths of a prefix have been sent it; to others
// nothing is ever withdrawn that has a successor.
func (s *sessions) expect(a announcement) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &expectation{of: a, peers: map[netip.Addr]bool{}, done: make(chan struct{})}
	for address, session := range s.of {
		if session.agreed.takesSeveral(familyOf(a.prefix)) {
			e.peers[address] = true
		}
	}
	e.check()
	s.awaits = e
	return e.done
}

// check closes done when nobody is waited for. The sessions' mu is held, or
// nobody else knows of e.
func (e *expectation) check() {
	if len(e.peers) > 0 {
		return
	}
	select {
	case <-e.done:
	default:
		close(e.done)
	}
}

// fulfil notes that a peer is not waited for any more. The sessions' mu is held.
func (e *expectation) fulfil(peer netip.Addr) {
	if e != nil && e.peers[peer] {
		delete(e.peers, peer)
		e.check()
	}
}

// An update is what of an UPDATE message is announced.
type update struct {
	prefixes   []bgp.PathNLRI
	attributes []bgp.PathAttributeInterface
}

// arrived notes that an UPDATE has been sent to a peer.
func (s *sessions) arrived(peer netip.Addr, u update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.awaits; e != nil && e.peers[peer] && u.announces(e.of) {
		e.fulfil(peer)
	}
}

func (u update) announces(a announcement) bool {
	prefixes := u.prefixes
	var nextHop netip.Addr
	for _, attribute := range u.attributes {
		switch attribute := attribute.(type) {
		case *bgp.PathAttributeNextHop:
			nextHop = attribute.Value
		case *bgp.PathAttributeMpReachNLRI:
			nextHop, prefixes = attribute.Nexthop, attribute.Value
		}
	}
	if nextHop != a.nextHop {
		return false
	}
	for _, p := range prefixes {
		if prefix, is := p.NLRI.(*bgp.IPAddrPrefix); is && prefix.Prefix == a.prefix {
			return true
		}
	}
	return false
}
