package steer

import (
	"net/netip"
	"slices"
)

// A Plan is what makes a router's routes equal an Assignment. The zero Plan
// has nothing to do.
type Plan struct {
	Changes []Change // sorted by their first prefix
	Foreign []Route  // routes in the way that are not ours to touch, sorted
}

// Diff compares what we want with what a router has. Prefixes that the
// Assignment claims nothing for are left as they are. A foreign route in the
// way is reported, and its prefix left alone, unless adopt says to take it
// over; a route of ours beside it is still kept up to date.
func Diff(want Assignment, have []Route, adopt bool) Plan {
	ours, foreign := split(have)
	var plan Plan
	for prefix, want := range want {
		mine, exists := ours[prefix]
		blocked, isBlocked := foreign[prefix]
		one := []netip.Prefix{prefix}
		switch {
		case want.Withdraw && exists:
			plan.Changes = append(plan.Changes, Change{Op: Remove, Prefixes: one, From: mine.NextHops, Reason: want.Why})
		case len(want.NextHops) == 0:
		case !exists && isBlocked && !adopt:
			plan.Foreign = append(plan.Foreign, blocked)
		case !exists && isBlocked:
			plan.Changes = append(plan.Changes, Change{Op: Replace, Prefixes: one, From: blocked.NextHops, To: want.NextHops, Adopt: true, Reason: want.Why})
		case !exists:
			plan.Changes = append(plan.Changes, Change{Op: Add, Prefixes: one, To: want.NextHops, Reason: want.Why})
		case mine.Stray || !slices.Equal(mine.NextHops, want.NextHops):
			plan.Changes = append(plan.Changes, Change{Op: Replace, Prefixes: one, From: mine.NextHops, To: want.NextHops, Adopt: isBlocked && adopt, Graceful: !isBlocked && want.keeps(mine.NextHops), Reason: want.Why})
		case isBlocked && adopt:
			plan.Changes = append(plan.Changes, Change{Op: Replace, Prefixes: one, From: blocked.NextHops, To: want.NextHops, Adopt: true, Reason: want.Why})
		}
		if exists && isBlocked && !adopt {
			plan.Foreign = append(plan.Foreign, blocked)
		}
	}
	slices.SortFunc(plan.Changes, func(a, b Change) int { return ComparePrefix(a.Prefixes[0], b.Prefixes[0]) })
	SortRoutes(plan.Foreign)
	return plan
}

// split sorts out a router's routes: ours by prefix, and the first foreign one
// of each prefix. Several of ours for one prefix make it stray.
func split(have []Route) (ours, foreign map[netip.Prefix]Route) {
	ours, foreign = map[netip.Prefix]Route{}, map[netip.Prefix]Route{}
	for _, route := range have {
		if route.Foreign {
			if _, seen := foreign[route.Prefix]; !seen {
				foreign[route.Prefix] = route
			}
			continue
		}
		if first, seen := ours[route.Prefix]; seen {
			if first.Stray && !route.Stray {
				first = route
			}
			route = first
			route.Stray = true
		}
		ours[route.Prefix] = route
	}
	return ours, foreign
}
