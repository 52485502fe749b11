package steer

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A NextHop is one gateway of a route.
type NextHop struct {
	Address netip.Addr
	Weight  int // share of the flows among the next hops of one route, 1 to 256
}

// A Route is where a router really sends a prefix now.
type Route struct {
	Prefix   netip.Prefix
	NextHops []NextHop // sorted by address; empty for a route without gateway (blackhole, on-link)
	Foreign  bool      // not ours: carries no mark of routesteer
	Stray    bool      // ours, but not as we would write it (another metric, a second entry): replace it
	Detail   string    // the router's own words: "proto static metric 10 dev lan0"
}

// SortRoutes sorts by prefix, ours before foreign ones, then by next hops and
// detail.
func SortRoutes(routes []Route) {
	slices.SortFunc(routes, func(a, b Route) int {
		return cmp.Or(
			ComparePrefix(a.Prefix, b.Prefix),
			compareBool(a.Foreign, b.Foreign),
			slices.CompareFunc(a.NextHops, b.NextHops, CompareNextHop),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
}

// SortNextHops sorts by address, then weight.
func SortNextHops(hops []NextHop) { slices.SortFunc(hops, CompareNextHop) }

// ComparePrefix orders prefixes by family, address and length.
func ComparePrefix(a, b netip.Prefix) int {
	return a.Compare(b)
}

// CompareNextHop orders next hops by address, then weight.
func CompareNextHop(a, b NextHop) int {
	return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Weight, b.Weight))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// An Op is what a Change does to a router's table.
type Op string

const (
	Add     Op = "add"     // the router has no route of ours for the prefix
	Replace Op = "replace" // it has one, with other next hops
	Remove  Op = "remove"  // it has one, and none is wanted
)

// A Change makes the routes of one or more prefixes on a router what they
// should be. Whoever gets one changes none of its slices, which are shared.
type Change struct {
	Op       Op
	Prefixes []netip.Prefix // at least one, sorted, all of one family
	Cohort   string         // names the VIPs that always move together, to which these belong; "" for none
	From     []NextHop      // what the router has for each of them; nil for Add
	To       []NextHop      // what it should have; nil for Remove
	Adopt    bool           // take over the foreign routes that stand in the way
	Graceful bool           // the move is not for a fault: connections at From may stay there until they end
	Failure  bool           // a failure is the reason
	Cause    Cause          // the kind of Reason
	Reason   string         // why, for people
}

// For is the change narrowed to some of its prefixes.
func (c Change) For(prefixes ...netip.Prefix) Change {
	c.Prefixes = prefixes
	return c
}

// Prefixes counts the prefixes of the changes.
func Prefixes(changes []Change) int {
	n := 0
	for _, c := range changes {
		n += len(c.Prefixes)
	}
	return n
}

// String writes the change as an operator reads it:
// "replace 203.0.113.32/27 via 192.0.2.11 -> 192.0.2.12", or, for several
// prefixes, "replace 203.0.113.32/27 and 2 more via 192.0.2.11 -> 192.0.2.12".
func (c Change) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", c.Op, c.Prefixes[0])
	if more := len(c.Prefixes) - 1; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	if len(c.From)+len(c.To) > 0 {
		b.WriteString(" via ")
	}
	b.WriteString(FormatNextHops(c.From))
	if len(c.From) > 0 && len(c.To) > 0 {
		b.WriteString(" -> ")
	}
	b.WriteString(FormatNextHops(c.To))
	return b.String()
}

// FormatNextHops writes next hops as an operator reads them, with weights
// only where one differs from 1: "192.0.2.11", "192.0.2.13 weight 1, 192.0.2.14 weight 2".
func FormatNextHops(hops []NextHop) string {
	weighted := slices.ContainsFunc(hops, func(h NextHop) bool { return h.Weight != 1 })
	words := make([]string, len(hops))
	for i, h := range hops {
		words[i] = h.Address.String()
		if weighted && len(hops) > 1 {
			words[i] += fmt.Sprintf(" weight %d", h.Weight)
		}
	}
	return strings.Join(words, ", ")
}
