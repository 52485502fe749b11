package drivertest

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/routesteer/routesteer/steer"
)

// cohort gives out n prefixes, sorted.
func (e *exam) cohort(f family, n int) []netip.Prefix {
	prefixes := e.prefixes(f, n)
	slices.SortFunc(prefixes, steer.ComparePrefix)
	return prefixes
}

// named is a change of prefixes of a cohort.
func named(prefixes []netip.Prefix, from, to []steer.NextHop) steer.Change {
	c := changeAll(prefixes, from, to)
	c.Cohort = "examined"
	return c
}

// wantAll checks that the prefixes have these next hops, and that nothing else
// is left to do for them.
func (s *seat) wantAll(have map[netip.Prefix][]steer.NextHop) {
	s.Helper()
	s.want(routesOf(have)...)
}

func routesOf(have map[netip.Prefix][]steer.NextHop) []string {
	var want []string
	for p, hops := range have {
		if hops != nil {
			want = append(want, route(p, hops))
		}
	}
	return want
}

// settle does what a controller does after a change: traffic must go where it
// should, and where the router has more to do to be in order, it is told the same
// again, once. Then all must be well.
func (s *seat) settle(have map[netip.Prefix][]steer.NextHop) {
	s.Helper()
	var changes []steer.Change
	now := s.routes()
	for _, r := range now {
		if !slices.Equal(r.NextHops, have[r.Prefix]) {
			s.Fatalf("the router has %s, want %s", route(r.Prefix, r.NextHops), route(r.Prefix, have[r.Prefix]))
		}
		if r.Stray {
			changes = append(changes, change(r.Prefix, r.NextHops, have[r.Prefix]))
		}
	}
	if len(changes) > 0 {
		s.apply(changes...)
		now = s.routes()
	}
	s.compare(now, routesOf(have)...)
}

// cohortEveryTransition takes a cohort from every state to every other, and
// each time one of it goes another way and comes back.
func cohortEveryTransition(t *testing.T, e *exam, f family) {
	cohort := e.cohort(f, 4)
	s := e.sitCohorts(t, cohort)
	states := e.states(f)
	s.apply(named(cohort, nil, states[0]))
	gaps := []func() []string{e.Guard(t, cohort[0]), e.Guard(t, cohort[3])}
	have := map[netip.Prefix][]steer.NextHop{}
	put := func(c steer.Change) {
		t.Helper()
		s.apply(c)
		for _, p := range c.Prefixes {
			have[p] = c.To
		}
		s.settle(have)
	}
	at := states[0]
	for _, from := range states {
		for _, to := range states {
			put(named(cohort, at, from))
			put(named(cohort, from, to))
			put(named(cohort[1:2], to, from))
			put(named(cohort[1:2], from, to))
			put(named(cohort[:3], to, from)) // most of it: one stays
			put(named(cohort[3:], to, from))
			at = from
		}
	}
	for i, stop := range gaps {
		if got := stop(); len(got) > 0 {
			t.Errorf("prefix %d of the cohort went without a route:\n%s", i, list(got))
		}
	}
	s.apply(named(cohort, at, nil))
	s.want()
}

// cohortOthersStay checks that two cohorts, and a lone prefix, with the same
// next hops move each by itself.
func cohortOthersStay(t *testing.T, e *exam, f family) {
	first, second, lone := e.cohort(f, 3), e.cohort(f, 3), e.cohort(f, 1)
	s := e.sitCohorts(t, first, second, lone)
	have := map[netip.Prefix][]steer.NextHop{}
	for _, step := range []struct {
		prefixes []netip.Prefix
		from, to []steer.NextHop
	}{
		{first, nil, f.to(0)}, {second, nil, f.to(0)}, {lone, nil, f.to(0)},
		{first, f.to(0), f.to(1)}, {lone, f.to(0), f.to(2)}, {second, f.to(0), f.to(1)}, {first, f.to(1), f.to(2)},
		{first, f.to(2), nil}, {second, f.to(1), nil}, {lone, f.to(2), nil},
	} {
		s.apply(named(step.prefixes, step.from, step.to))
		for _, p := range step.prefixes {
			have[p] = step.to
		}
		s.wantAll(have)
	}
}

// cohortReopened checks that a driver finds what another left, though the
// cohorts have become others, and steers it as its own.
func cohortReopened(t *testing.T, e *exam, f family) {
	all := e.cohort(f, 6)
	have := map[netip.Prefix][]steer.NextHop{}
	for _, p := range all {
		have[p] = f.to(0)
	}
	s := e.sitCohorts(t, all)
	s.apply(named(all, nil, f.to(0)))
	gaps := e.Guard(t, all[5])
	for _, cohorts := range [][][]netip.Prefix{
		{all}, {all[:3], all[3:]}, {all}, {all[:2], all[2:]}, {all[:2], all[2:5], all[5:]}, {all}, {all[:1], all[1:2], all[2:]}, {all},
	} {
		s.leave()
		s = e.sitCohorts(t, cohorts...)
		for _, to := range []int{1, 0} { // at once, as when a server is lost
			last := cohorts[len(cohorts)-1]
			s.apply(named(last, f.to(1-to), f.to(to)))
			for _, p := range last {
				have[p] = f.to(to)
			}
			s.settle(have)
		}
		for _, cohort := range cohorts {
			for _, step := range [][2]int{{0, 1}, {1, 2}, {2, 0}} {
				s.apply(named(cohort, f.to(step[0]), f.to(step[1])))
				for _, p := range cohort {
					have[p] = f.to(step[1])
				}
				s.wantAll(have)
			}
		}
	}
	if got := gaps(); len(got) > 0 {
		t.Errorf("%s went without a route:\n%s", all[5], list(got))
	}
	s.apply(named(all, f.to(0), nil))
	s.want()
}

// cohortForeign checks that a foreign route in the place of one of a cohort is
// left alone, and keeps none of the others.
func cohortForeign(t *testing.T, e *exam, f family) {
	if !e.traits.Foreign {
		return
	}
	cohort := e.cohort(f, 4)
	s := e.sitCohorts(t, cohort)
	s.apply(named(cohort, nil, f.to(0)))
	e.Plant(t, cohort[1], f.to(2))
	foreign := route(cohort[1], f.to(2)) + " foreign"
	for _, to := range []int{1, 0, 1} {
		n, err := s.try(named(cohort, f.to(1-to), f.to(to)))
		if n != 3 {
			t.Errorf("Apply changed %d prefixes, want 3", n)
		}
		s.refused(err, cohort[1])
		s.want(route(cohort[0], f.to(to)), foreign, route(cohort[2], f.to(to)), route(cohort[3], f.to(to)))
	}
	c := named(cohort, f.to(1), f.to(2))
	c.Adopt = true
	s.apply(c)
	have := map[netip.Prefix][]steer.NextHop{}
	for _, p := range cohort {
		have[p] = f.to(2)
	}
	s.settle(have)
	s.apply(named(cohort, f.to(2), nil))
	s.want()
}

// cohortDrift checks that one of a cohort that is taken or bent behind our
// back is told, and put right without the others.
func cohortDrift(t *testing.T, e *exam, f family) {
	if !e.traits.Drift {
		return
	}
	cohort := e.cohort(f, 3)
	s := e.sitCohorts(t, cohort)
	s.apply(named(cohort, nil, f.to(0)))
	have := map[netip.Prefix][]steer.NextHop{}
	for _, p := range cohort {
		have[p] = f.to(0)
	}
	e.Take(t, cohort[0])
	e.Bend(t, cohort[1], f.to(1))
	s.want(route(cohort[1], f.to(1)), route(cohort[2], f.to(0)))
	s.apply(named(cohort, f.to(0), f.to(2))) // of one who has not looked
	for _, p := range cohort {
		have[p] = f.to(2)
	}
	s.settle(have)
	s.apply(named(cohort, f.to(2), nil))
	s.want()
}
