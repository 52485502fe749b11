package drivertest

import (
	"slices"
	"testing"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

// states are next hop sets that a prefix goes through.
func (e *exam) states(f family) [][]steer.NextHop {
	states := [][]steer.NextHop{f.to(0), f.to(1), f.to(2)}
	if e.traits.ECMP {
		states = append(states, f.to(0, 1), f.to(1, 2), f.to(0, 1, 2))
	}
	if e.traits.ECMP && e.traits.Weights {
		light, heavy := f.to(0, 1), f.to(0, 1, 2)
		light[1].Weight = 3
		heavy[0].Weight, heavy[2].Weight = 256, 2
		states = append(states, light, heavy)
	}
	return states
}

func addMoveRemove(t *testing.T, e *exam, f family) {
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	s.want()
	var have []steer.NextHop
	for _, want := range append(e.states(f), nil) {
		s.apply(change(p, have, want))
		have = want
		if want != nil {
			s.want(route(p, want))
		}
	}
	s.want()
}

func everyTransition(t *testing.T, e *exam, f family) {
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	states := e.states(f)
	s.apply(change(p, nil, states[0]))
	gaps := e.Guard(t, p)
	have := states[0]
	for _, to := range tour(states)[1:] {
		s.apply(change(p, have, to))
		s.want(route(p, to))
		have = to
	}
	if got := gaps(); len(got) > 0 {
		t.Errorf("%s went without a route:\n%s", p, list(got))
	}
	s.apply(change(p, have, nil))
}

// tour begins and ends at the first state, and goes from every state to every other
// and to itself once: a de Bruijn sequence of pairs.
func tour(states [][]steer.NextHop) [][]steer.NextHop {
	var all [][]steer.NextHop
	for i, one := range states {
		all = append(all, one)
		for _, other := range states[i+1:] {
			all = append(all, one, other)
		}
	}
	return append(all, states[0])
}

func manyAtOnce(t *testing.T, e *exam, f family) {
	prefixes := e.prefixes(f, e.many())
	s := e.sit(t, prefixes...)
	for _, step := range [][2][]steer.NextHop{{nil, f.to(0)}, {f.to(0), f.to(1)}, {f.to(1), nil}} {
		var (
			changes []steer.Change
			want    []string
		)
		for _, p := range prefixes {
			changes = append(changes, change(p, step[0], step[1]))
			if step[1] != nil {
				want = append(want, route(p, step[1]))
			}
		}
		s.apply(changes...)
		s.want(want...)
	}
}

func manyInOne(t *testing.T, e *exam, f family) {
	prefixes := e.prefixes(f, e.many())
	slices.SortFunc(prefixes, steer.ComparePrefix)
	s := e.sit(t, prefixes...)
	for _, step := range [][2][]steer.NextHop{{nil, f.to(0)}, {f.to(0), f.to(1)}, {f.to(1), nil}} {
		c := changeAll(prefixes, step[0], step[1])
		c.Cohort = "examined"
		s.apply(c)
		s.apply(c) // which is true already
		var want []string
		for _, p := range prefixes {
			if step[1] != nil {
				want = append(want, route(p, step[1]))
			}
		}
		s.want(want...)
	}
}

func idempotence(t *testing.T, e *exam, f family) {
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	var have []steer.NextHop
	for _, want := range append(e.states(f), nil) {
		c := change(p, have, want)
		s.apply(c)
		before := lines(s.routes())
		s.apply(c)
		if after := lines(s.routes()); !slices.Equal(before, after) {
			t.Errorf("%s, twice: the router had\n%s\nand then\n%s", c, list(before), list(after))
		}
		have = want
	}
}

func staleExpectation(t *testing.T, e *exam, f family) {
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	s.apply(change(p, f.to(0), f.to(1))) // a Replace of nothing
	s.want(route(p, f.to(1)))
	s.apply(change(p, nil, f.to(2))) // an Add to something
	s.want(route(p, f.to(2)))
	s.apply(change(p, f.to(0), f.to(1))) // a Replace of something else
	s.want(route(p, f.to(1)))
	s.apply(change(p, f.to(0), nil)) // a Remove of something else
	s.want()
}

func inOrder(t *testing.T, e *exam, f family) {
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	s.apply(change(p, nil, f.to(0)), change(p, f.to(0), f.to(1)), change(p, f.to(1), nil), change(p, nil, f.to(2)))
	s.want(route(p, f.to(2)))
	s.apply(change(p, f.to(2), nil))
}

func reopen(t *testing.T, e *exam, f family) {
	prefixes := e.prefixes(f, len(e.states(f)))
	first := e.sit(t, prefixes...)
	var want []string
	for i, hops := range e.states(f) {
		first.apply(change(prefixes[i], nil, hops))
		want = append(want, route(prefixes[i], hops))
	}
	gaps := e.Guard(t, prefixes[0])
	first.leave()
	second := e.sit(t, prefixes...)
	second.want(want...)
	if got := gaps(); len(got) > 0 {
		t.Errorf("%s went without a route when the driver was closed:\n%s", prefixes[0], list(got))
	}
	for i, hops := range e.states(f) {
		second.apply(change(prefixes[i], hops, nil))
	}
	second.want()
}

func rendering(t *testing.T, e *exam, f family) {
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	renderer, ok := s.driver.(drivers.Renderer)
	if !ok {
		return
	}
	for _, c := range []steer.Change{
		change(p, nil, f.to(0)), change(p, f.to(0), f.to(1)), change(p, f.to(1), nil),
	} {
		if commands := renderer.Render([]steer.Change{c}); len(commands) == 0 || slices.Contains(commands, "") {
			t.Errorf("Render(%s) = %q", c, commands)
		}
	}
	if commands := renderer.Render(nil); len(commands) > 0 {
		t.Errorf("Render of no changes = %q", commands)
	}
	s.want()
}
