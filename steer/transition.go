package steer

import (
	"net/netip"
	"slices"
	"time"
)

// A Transition is a move of one prefix on one router whose connections have
// not all ended: new ones go where the route goes, those that were there before
// stay where they were.
type Transition struct {
	Prefix   netip.Prefix
	From, To []NextHop // where connections that nobody has heard of yet are taken to be; where new ones go
	Left     []Left    // connections that are elsewhere than at To, sorted by next hops; none is left when empty
	Since    time.Time // when its last move began
	Until    time.Time // when it ends, whoever is left
	Overflow uint64    // connections that there was no room to note: they may have been cut
}

// Left are connections that a transition leaves where they are.
type Left struct {
	At    []NextHop
	Flows int // that sent something lately
}

// Count is how many connections are left.
func (t Transition) Count() int {
	count := 0
	for _, left := range t.Left {
		count += left.Flows
	}
	return count
}

// An Outcome is how a Transition ended.
type Outcome string

const (
	Idle     Outcome = "idle"      // every connection has ended, or is silent
	TimedOut Outcome = "timed out" // its time was over, and connections were left: they are cut
	Forced   Outcome = "forced"    // their server was lost, or somebody ended it, and connections were left
)

// A Settlement is what to do about a router's transitions.
type Settlement struct {
	Lost map[netip.Prefix][]netip.Addr // give up connections of the prefix at these addresses
	Over map[netip.Prefix]Outcome      // end the prefix's transition
}

// Settle decides about the transitions of a router. idle is how long a
// connection has to be silent to count as ended: no transition is over sooner,
// as until then there may be connections that nobody has heard of.
func Settle(want Assignment, under []Transition, idle time.Duration, now time.Time) Settlement {
	s := Settlement{Lost: map[netip.Prefix][]netip.Addr{}, Over: map[netip.Prefix]Outcome{}}
	for _, t := range under {
		if lost := t.lost(want.gone); len(lost) > 0 {
			s.Lost[t.Prefix] = lost
		}
		switch {
		case t.Count() == 0 && !now.Before(t.Since.Add(idle)):
			s.Over[t.Prefix] = Idle
		case !now.Before(t.Until):
			s.Over[t.Prefix] = TimedOut
		}
	}
	return s
}

// lost are the addresses that the transition leaves connections at, and that
// are gone. Where the route itself goes is not its business.
func (t Transition) lost(gone []netip.Addr) []netip.Addr {
	places := [][]NextHop{}
	if !slices.Equal(t.From, t.To) {
		places = append(places, t.From)
	}
	for _, left := range t.Left {
		places = append(places, left.At)
	}
	var lost []netip.Addr
	for _, hop := range slices.Concat(places...) {
		if slices.Contains(gone, hop.Address) && !slices.Contains(lost, hop.Address) {
			lost = append(lost, hop.Address)
		}
	}
	return lost
}
