// Package drivertest is the exam that every driver sits: sequences of states
// on a router, and what the contract in package drivers promises about each.
//
// A driver's own test builds a Bench, which is the router with the means to
// work on it behind the driver's back, and calls Exam. What a router cannot
// do, its Traits leave out, and the exam does not ask.
package drivertest

import (
	"net/netip"
	"testing"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

// A Bench is one router, with everything the exam needs to know of it. Its
// methods fail t themselves when they cannot do what they say.
type Bench interface {
	// Open opens the driver under test on the router, for a site of these VIPs,
	// by cohorts: each of one family, sorted. The exam closes it.
	Open(t *testing.T, cohorts [][]netip.Prefix) drivers.Driver
	// Traits says what the router can do.
	Traits() Traits
	// Plant puts a route without our mark on the router, in the place of any
	// that stands there, as an operator would who does not know of us.
	Plant(t *testing.T, p netip.Prefix, hops []steer.NextHop)
	// Bend gives our route other next hops, and leaves it our mark.
	Bend(t *testing.T, p netip.Prefix, hops []steer.NextHop)
	// Take removes the prefix's route, whosever it is.
	Take(t *testing.T, p netip.Prefix)
	// Guard watches that the prefix, which has a route, never goes without one.
	// The exam calls what it returns once, to end the watching and to be told
	// of each gap, in words.
	Guard(t *testing.T, p netip.Prefix) (gaps func() []string)
}

// Traits say what a router can do.
type Traits struct {
	Hops4       []netip.Addr // three usable IPv4 next hops, in ascending order; empty: no IPv4
	Hops6       []netip.Addr // the same for IPv6
	Unreachable netip.Addr   // an IPv4 next hop that the router refuses; zero: it refuses none
	ECMP        bool         // a route may have several next hops
	Weights     bool         // and the router keeps their weights
	Foreign     bool         // the router can tell our routes from others, and Plant works
	Drift       bool         // Bend and Take work
	Many        int          // prefixes of a large change; default 300

	// Asked says which questions are asked, by their names; nil for all.
	Asked func(question string) bool
}
