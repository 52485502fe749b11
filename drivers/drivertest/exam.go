package drivertest

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

const (
	patience = 10 * time.Second // for one call of a driver
	promptly = time.Second      // to return when ctx ends
	noticing = time.Second      // from a change behind our back to the Watcher's signal
)

// Exam examines the driver that router opens. Each question works on prefixes
// of its own, so that the questions do not depend on each other.
func Exam(t *testing.T, router Bench) {
	e := &exam{Bench: router, traits: router.Traits()}
	for _, q := range []struct {
		name string
		ask  func(*testing.T, *exam, family)
	}{
		{"a route is added, moved and removed", addMoveRemove},
		{"from every state to every other without a gap", everyTransition},
		{"many prefixes change in one call", manyAtOnce},
		{"many prefixes change in one change", manyInOne},
		{"a change that is already true is no error", idempotence},
		{"a change that expects another state still gives the right one", staleExpectation},
		{"two changes of one prefix in one call happen in order", inOrder},
		{"a prefix that is not the site's is left alone", notOurs},
		{"a change without next hops is refused", noNextHops},
		{"a foreign route is told and left alone", foreignStays},
		{"a foreign route in the place of ours is told and left alone", foreignIntrudes},
		{"a foreign route is adopted when we may", foreignAdopted},
		{"a refused change is named and does not stop the others", refusal},
		{"a change refused for some of its prefixes is made for the others", partRefused},
		{"a half-done plan converges", halfDone},
		{"a route taken behind our back is noticed and repaired", taken},
		{"a route bent behind our back is noticed and repaired", bent},
		{"a context that has ended stops every call", contextEnds},
		{"routes outlive the driver and are ours when it returns", reopen},
		{"what would be done can be said", rendering},
		{"a cohort goes from every state to every other without a gap, whole and in part", cohortEveryTransition},
		{"cohorts move each by itself", cohortOthersStay},
		{"cohorts outlive the driver and may become others", cohortReopened},
		{"a foreign route among a cohort's is left alone", cohortForeign},
		{"a cohort's routes that were taken or bent are put right", cohortDrift},
	} {
		if e.traits.Asked != nil && !e.traits.Asked(q.name) {
			continue
		}
		t.Run(q.name, func(t *testing.T) {
			for _, f := range e.families() {
				t.Run(f.name, func(t *testing.T) { q.ask(t, e, f) })
			}
		})
	}
}

// An exam is the bench with a count of the prefixes that it gave out.
type exam struct {
	Bench
	traits Traits
	given  int
}

// many is how many prefixes a large change has.
func (e *exam) many() int { return cmp.Or(e.traits.Many, 300) }

// A family is IPv4 or IPv6, with next hops.
type family struct {
	name string
	hops []netip.Addr
}

func (e *exam) families() []family {
	var all []family
	if len(e.traits.Hops4) >= 3 {
		all = append(all, family{"IPv4", e.traits.Hops4})
	}
	if len(e.traits.Hops6) >= 3 {
		all = append(all, family{"IPv6", e.traits.Hops6})
	}
	return all
}

// to returns the family's next hops with those indexes, weight 1.
func (f family) to(indexes ...int) []steer.NextHop {
	var hops []steer.NextHop
	for _, i := range indexes {
		hops = append(hops, steer.NextHop{Address: f.hops[i], Weight: 1})
	}
	return hops
}

// prefixes gives out n that no question had before, half of them single
// addresses: IPv4 from the benchmarking range of RFC 2544, which has room for
// 4096, IPv6 from that of RFC 5180.
func (e *exam) prefixes(f family, n int) []netip.Prefix {
	var out []netip.Prefix
	for range n {
		e.given++
		at := e.given * 32
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18 + byte(at>>16), byte(at >> 8), byte(at)}), []int{27, 32}[e.given%2])
		if f.name == "IPv6" {
			p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x00, 0x02, 0, 0, byte(at >> 8), byte(at)}), []int{64, 128}[e.given%2])
		}
		out = append(out, p.Masked())
	}
	return out
}

// A seat is one driver being examined.
type seat struct {
	*testing.T
	driver drivers.Driver
}

// sit opens the driver for prefixes that have nothing in common, until the
// question ends.
func (e *exam) sit(t *testing.T, prefixes ...netip.Prefix) *seat {
	t.Helper()
	var cohorts [][]netip.Prefix
	for _, p := range prefixes {
		cohorts = append(cohorts, []netip.Prefix{p})
	}
	return e.sitCohorts(t, cohorts...)
}

// sitCohorts opens the driver for cohorts, until the question ends.
func (e *exam) sitCohorts(t *testing.T, cohorts ...[]netip.Prefix) *seat {
	t.Helper()
	s := &seat{T: t, driver: e.Open(t, cohorts)}
	t.Cleanup(s.leave)
	return s
}

// leave closes the driver, once.
func (s *seat) leave() {
	s.Helper()
	if s.driver == nil {
		return
	}
	if err := s.driver.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	s.driver = nil
}

// routes reads the routes of the site's prefixes, and checks what holds of
// every answer.
func (s *seat) routes() []steer.Route {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	routes, err := s.driver.Routes(ctx)
	if err != nil {
		s.Fatalf("Routes: %v", err)
	}
	sorted := slices.Clone(routes)
	steer.SortRoutes(sorted)
	if !reflect.DeepEqual(routes, sorted) {
		s.Errorf("Routes are not sorted:\n%v", routes)
	}
	for _, r := range routes {
		if !slices.IsSortedFunc(r.NextHops, func(a, b steer.NextHop) int { return a.Address.Compare(b.Address) }) {
			s.Errorf("the next hops of %s are not sorted: %v", r.Prefix, r.NextHops)
		}
		if len(r.NextHops) == 1 && r.NextHops[0].Weight != 1 {
			s.Errorf("the only next hop of %s has weight %d, want 1", r.Prefix, r.NextHops[0].Weight)
		}
	}
	return routes
}

// apply makes the changes, all of which must take effect.
func (s *seat) apply(changes ...steer.Change) {
	s.Helper()
	n, err := s.try(changes...)
	if want := steer.Prefixes(changes); err != nil || n != want {
		s.Fatalf("Apply changed %d of %d prefixes: %v", n, want, err)
	}
}

func (s *seat) try(changes ...steer.Change) (int, error) {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	return s.driver.Apply(ctx, changes)
}

// want checks that the routes are these, which are written as lines gives
// them, and no others.
func (s *seat) want(want ...string) {
	s.Helper()
	s.compare(s.routes(), want...)
}

// compare is want of routes that have been looked at.
func (s *seat) compare(routes []steer.Route, want ...string) {
	s.Helper()
	got := lines(routes)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Fatalf("the router has\n%s\nwant\n%s", list(got), list(want))
	}
}

func list(lines []string) string {
	if len(lines) == 0 {
		return "\tnothing"
	}
	text := ""
	for _, line := range lines {
		text += "\t" + line + "\n"
	}
	return text
}

func lines(routes []steer.Route) []string {
	out := []string{}
	for _, r := range routes {
		line := route(r.Prefix, r.NextHops)
		if r.Foreign {
			line += " foreign"
		}
		if r.Stray {
			line += " stray"
		}
		out = append(out, line)
	}
	return out
}

// route writes a route of ours as the exam compares it.
func route(p netip.Prefix, hops []steer.NextHop) string {
	return fmt.Sprintf("%s via %s", p, steer.FormatNextHops(hops))
}

// change is the step from one state of a prefix to another; nil is no route.
func change(p netip.Prefix, from, to []steer.NextHop) steer.Change {
	return changeAll([]netip.Prefix{p}, from, to)
}

// changeAll is the same for several prefixes in one change.
func changeAll(prefixes []netip.Prefix, from, to []steer.NextHop) steer.Change {
	c := steer.Change{Op: steer.Replace, Prefixes: prefixes, From: from, To: to, Reason: "examined"}
	switch {
	case from == nil:
		c.Op = steer.Add
	case to == nil:
		c.Op = steer.Remove
	}
	return c
}
