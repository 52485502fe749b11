package linux

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/steer"
)

// Whatever cohorts there are, and whatever of them is told to move where, in
// any number of changes at once: Routes then tells exactly that, and what is
// left out of order is in order when it is told again.
func TestAnyMovesOfAnyCohortsEndAsTold(t *testing.T) {
	r := newRouter(t)
	prefixes := many(12, false)
	states := [][]steer.NextHop{
		hops(t, "192.0.2.11"), hops(t, "192.0.2.12"), hops(t, "198.51.100.13"), hops(t, "2001:db8:1::11"),
		hops(t, "192.0.2.11 192.0.2.12"), hops(t, "192.0.2.11*2 198.51.100.13"), hops(t, "192.0.2.12 198.51.100.13 2001:db8:1::11"), nil,
	}
	rapid.Check(t, func(t *rapid.T) {
		d, err := OpenAt(r.kernel.Fd(), defaults, drawCohorts(t, prefixes), quiet())
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}()
		have := map[netip.Prefix][]steer.NextHop{}
		for i, p := range prefixes { // whatever the last check left
			have[p] = states[i%2]
		}
		change(t, d, d.all, have, func(p netip.Prefix) bool { return true }, nil)
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			moved := rapid.SliceOfNDistinct(rapid.IntRange(0, len(d.all)-1), 1, len(d.all), rapid.ID[int]).Draw(t, "cohorts")
			part := rapid.Uint16().Draw(t, "part")
			if rapid.Bool().Draw(t, "whole") {
				part = 0xffff
			}
			var chosen []*cohort
			to := map[*cohort][]steer.NextHop{}
			for _, i := range moved {
				chosen = append(chosen, d.all[i])
				to[d.all[i]] = rapid.SampledFrom(states).Draw(t, "to")
			}
			change(t, d, chosen, have, func(p netip.Prefix) bool { return part>>slices.Index(prefixes, p)&1 == 1 }, to)
		}
	})
}

// drawCohorts cuts the prefixes into cohorts.
func drawCohorts(t *rapid.T, prefixes []netip.Prefix) [][]netip.Prefix {
	var cohorts [][]netip.Prefix
	for len(prefixes) > 0 {
		n := rapid.IntRange(1, len(prefixes)).Draw(t, "size")
		cohorts, prefixes = append(cohorts, prefixes[:n]), prefixes[n:]
	}
	return cohorts
}

// change moves the chosen prefixes of the cohorts, in one call, each cohort's
// in one change: to what to says, or, without it, to what have says, in one
// change each. Then it checks the routes, twice.
func change(t *rapid.T, d *Driver, cohorts []*cohort, have map[netip.Prefix][]steer.NextHop,
	chosen func(netip.Prefix) bool, to map[*cohort][]steer.NextHop) {
	t.Helper()
	var changes []steer.Change
	for _, c := range cohorts {
		var part []netip.Prefix
		for _, p := range c.prefixes {
			switch {
			case to == nil:
				changes = append(changes, towards([]netip.Prefix{p}, have[p]))
			case chosen(p):
				part = append(part, p)
				have[p] = to[c]
			}
		}
		if len(part) > 0 {
			changes = append(changes, towards(part, to[c]))
		}
	}
	if n, err := d.Apply(t.Context(), changes); err != nil || n != steer.Prefixes(changes) {
		t.Fatalf("Apply changed %d of %d prefixes: %v", n, steer.Prefixes(changes), err)
	}
	var again []steer.Change
	for _, r := range check(t, d, have) {
		again = append(again, towards([]netip.Prefix{r.Prefix}, have[r.Prefix]))
	}
	if n, err := d.Apply(t.Context(), again); err != nil || n != len(again) {
		t.Fatalf("Apply changed %d of %d prefixes: %v", n, len(again), err)
	}
	if stray := check(t, d, have); len(stray) > 0 {
		t.Fatalf("told again, not in order are %+v", stray)
	}
}

func towards(prefixes []netip.Prefix, to []steer.NextHop) steer.Change {
	if to == nil {
		return whole(steer.Remove, prefixes, nil)
	}
	return whole(steer.Replace, prefixes, to)
}

// check holds Routes to have, and returns those that are not in order.
func check(t *rapid.T, d *Driver, have map[netip.Prefix][]steer.NextHop) (stray []steer.Route) {
	t.Helper()
	routes, err := d.Routes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[netip.Prefix]bool{}
	for _, r := range routes {
		if got[r.Prefix] || !slices.Equal(r.NextHops, have[r.Prefix]) || r.Foreign {
			t.Fatalf("Routes tells %+v, want via %v", r, have[r.Prefix])
		}
		got[r.Prefix] = true
		if r.Stray {
			stray = append(stray, r)
		}
	}
	for p, hops := range have {
		if hops != nil && !got[p] {
			t.Fatalf("Routes does not tell of %s", p)
		}
	}
	return stray
}
