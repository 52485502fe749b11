package drivertest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

// refused checks that err holds ChangeErrors for exactly these prefixes, and
// that the text of each names the first of those that it is for.
func (s *seat) refused(err error, prefixes ...netip.Prefix) {
	s.Helper()
	var got []netip.Prefix
	for _, e := range changeErrors(err) {
		got = append(got, e.Change.Prefixes...)
		if first := e.Change.Prefixes[0].String(); !strings.Contains(err.Error(), first) {
			s.Errorf("Apply's error does not name %s: %v", first, err)
		}
	}
	slices.SortFunc(got, steer.ComparePrefix)
	want := slices.Clone(prefixes)
	slices.SortFunc(want, steer.ComparePrefix)
	if !slices.Equal(got, want) {
		s.Errorf("Apply's error has ChangeErrors for %v, want %v: %v", got, want, err)
	}
}

// changeErrors finds every ChangeError in a tree of joined errors.
func changeErrors(err error) []*drivers.ChangeError {
	switch e := err.(type) {
	case nil:
		return nil
	case *drivers.ChangeError:
		return []*drivers.ChangeError{e}
	case interface{ Unwrap() []error }:
		var all []*drivers.ChangeError
		for _, part := range e.Unwrap() {
			all = append(all, changeErrors(part)...)
		}
		return all
	default:
		return changeErrors(errors.Unwrap(err))
	}
}

func notOurs(t *testing.T, e *exam, f family) {
	ps := e.prefixes(f, 2)
	s := e.sit(t, ps[0])
	n, err := s.try(change(ps[1], nil, f.to(0)), change(ps[0], nil, f.to(1)))
	if n != 1 {
		t.Errorf("Apply took %d changes, want 1", n)
	}
	s.refused(err, ps[1])
	s.want(route(ps[0], f.to(1)))
	s.apply(change(ps[0], f.to(1), nil))
	all := e.sit(t, ps...)
	all.want()
}

func noNextHops(t *testing.T, e *exam, f family) {
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	s.apply(change(p, nil, f.to(0)))
	_, err := s.try(steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{p}, From: f.to(0)})
	s.refused(err, p)
	s.want(route(p, f.to(0)))
	s.apply(change(p, f.to(0), nil))
}

func foreignStays(t *testing.T, e *exam, f family) {
	if !e.traits.Foreign {
		return
	}
	ps := e.prefixes(f, 4)
	e.Plant(t, ps[0], f.to(0))
	e.Plant(t, ps[1], f.to(0))
	e.Plant(t, ps[2], f.to(0))
	s := e.sit(t, ps...)
	foreign := []string{
		route(ps[0], f.to(0)) + " foreign", route(ps[1], f.to(0)) + " foreign", route(ps[2], f.to(0)) + " foreign",
	}
	s.want(foreign...)
	_, err := s.try(
		change(ps[0], nil, f.to(1)), change(ps[1], f.to(0), f.to(1)), change(ps[2], f.to(0), nil), change(ps[3], nil, f.to(1)),
	)
	s.refused(err, ps[0], ps[1])
	s.want(append(foreign, route(ps[3], f.to(1)))...)
	s.apply(change(ps[3], f.to(1), nil))
	for _, p := range ps[:3] {
		e.Take(t, p)
	}
}

func foreignIntrudes(t *testing.T, e *exam, f family) {
	if !e.traits.Foreign {
		return
	}
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	s.apply(change(p, nil, f.to(0)))
	e.Plant(t, p, f.to(1))
	foreign := route(p, f.to(1)) + " foreign"
	s.want(foreign)
	_, err := s.try(change(p, f.to(0), f.to(2)))
	s.refused(err, p)
	s.want(foreign)
	e.Take(t, p)
	s.want()
}

func foreignAdopted(t *testing.T, e *exam, f family) {
	if !e.traits.Foreign {
		return
	}
	for _, op := range []steer.Op{steer.Add, steer.Replace} {
		p := e.prefixes(f, 1)[0]
		e.Plant(t, p, f.to(0))
		s := e.sit(t, p)
		gaps := e.Guard(t, p)
		s.apply(steer.Change{Op: op, Prefixes: []netip.Prefix{p}, To: f.to(1), Adopt: true})
		s.want(route(p, f.to(1)))
		if got := gaps(); len(got) > 0 {
			t.Errorf("%s went without a route while it was adopted:\n%s", p, list(got))
		}
		s.apply(change(p, f.to(1), nil))
		s.want()
	}
}

// unreachable is a change that the router refuses.
func (e *exam) unreachable(p netip.Prefix, from []steer.NextHop) steer.Change {
	return change(p, from, []steer.NextHop{{Address: e.traits.Unreachable, Weight: 1}})
}

func refusal(t *testing.T, e *exam, f family) {
	if !e.traits.Unreachable.IsValid() || f.hops[0].Is6() {
		return
	}
	ps := e.prefixes(f, 4)
	s := e.sit(t, ps...)
	s.apply(change(ps[1], nil, f.to(0)))
	n, err := s.try(
		change(ps[0], nil, f.to(0)), e.unreachable(ps[1], f.to(0)), e.unreachable(ps[2], nil), change(ps[3], nil, f.to(0)),
	)
	if n != 2 {
		t.Errorf("Apply took %d changes, want 2", n)
	}
	s.refused(err, ps[1], ps[2])
	s.want(route(ps[0], f.to(0)), route(ps[1], f.to(0)), route(ps[3], f.to(0)))
	s.apply(change(ps[0], f.to(0), nil), change(ps[1], f.to(0), nil), change(ps[3], f.to(0), nil))
}

func partRefused(t *testing.T, e *exam, f family) {
	ps := e.prefixes(f, 5)
	slices.SortFunc(ps, steer.ComparePrefix)
	s := e.sit(t, ps[0], ps[2], ps[4])
	c := changeAll(ps, nil, f.to(0))
	c.Cohort = "examined"
	n, err := s.try(c)
	if n != 3 {
		t.Errorf("Apply changed %d prefixes, want 3", n)
	}
	s.refused(err, ps[1], ps[3])
	s.want(route(ps[0], f.to(0)), route(ps[2], f.to(0)), route(ps[4], f.to(0)))
	s.apply(changeAll([]netip.Prefix{ps[0], ps[2], ps[4]}, f.to(0), nil))
}

func halfDone(t *testing.T, e *exam, f family) {
	if !e.traits.Unreachable.IsValid() || f.hops[0].Is6() {
		return
	}
	ps := e.prefixes(f, 3)
	s := e.sit(t, ps...)
	good := []steer.Change{change(ps[0], nil, f.to(0)), change(ps[1], nil, f.to(1)), change(ps[2], nil, f.to(2))}
	_, err := s.try(good[0], e.unreachable(ps[1], nil), good[2])
	s.refused(err, ps[1])
	s.apply(good...) // the next pass, of one who did not look
	s.want(route(ps[0], f.to(0)), route(ps[1], f.to(1)), route(ps[2], f.to(2)))
	s.apply(change(ps[0], f.to(0), nil), change(ps[1], f.to(1), nil), change(ps[2], f.to(2), nil))
}

func taken(t *testing.T, e *exam, f family) {
	if !e.traits.Drift {
		return
	}
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	s.apply(change(p, nil, f.to(0)))
	e.Take(t, p)
	s.notices(func() bool { return len(s.routes()) == 0 })
	s.want()
	s.apply(change(p, nil, f.to(0)))
	s.want(route(p, f.to(0)))
	s.apply(change(p, f.to(0), nil))
}

func bent(t *testing.T, e *exam, f family) {
	if !e.traits.Drift {
		return
	}
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	s.apply(change(p, nil, f.to(0)))
	e.Bend(t, p, f.to(1))
	s.notices(func() bool {
		routes := s.routes()
		return len(routes) == 1 && routes[0].NextHops[0].Address == f.hops[1]
	})
	s.apply(change(p, f.to(1), f.to(0)))
	s.want(route(p, f.to(0)))
	s.apply(change(p, f.to(0), nil))
}

// notices checks that a Watcher has one look again, and see the change, in
// time. An earlier signal, of our own change, may come first.
func (s *seat) notices(seen func() bool) {
	s.Helper()
	watcher, ok := s.driver.(drivers.Watcher)
	if !ok {
		return
	}
	late := time.NewTimer(noticing)
	defer late.Stop()
	for {
		select {
		case <-watcher.Changed():
			if seen() {
				return
			}
		case <-late.C:
			s.Fatalf("no signal of the change within %v", noticing)
		}
	}
}

func contextEnds(t *testing.T, e *exam, f family) {
	p := e.prefixes(f, 1)[0]
	s := e.sit(t, p)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	if _, err := s.driver.Routes(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Routes with an ended context: %v, want context.Canceled", err)
	}
	if n, err := s.driver.Apply(ended, []steer.Change{change(p, nil, f.to(0))}); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Apply with an ended context took %d changes: %v, want 0 and context.Canceled", n, err)
	}
	if took := time.Since(start); took > promptly {
		t.Errorf("calls with an ended context took %v, want at most %v", took, promptly)
	}
	s.want()
	s.apply(change(p, nil, f.to(0))) // the driver goes on
	s.want(route(p, f.to(0)))
	s.apply(change(p, f.to(0), nil))
}
