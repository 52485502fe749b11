package mem

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/drivertest"
	"github.com/routesteer/routesteer/steer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	vipA = netip.MustParsePrefix("203.0.113.32/27")
	vipB = netip.MustParsePrefix("203.0.113.64/27")
	vipC = netip.MustParsePrefix("203.0.113.96/27")
	web1 = netip.MustParseAddr("192.0.2.11")
	web2 = netip.MustParseAddr("192.0.2.12")
)

func to(addresses ...netip.Addr) []steer.NextHop {
	var hops []steer.NextHop
	for _, a := range addresses {
		hops = append(hops, steer.NextHop{Address: a, Weight: 1})
	}
	return hops
}

func add(p netip.Prefix, hops ...netip.Addr) steer.Change {
	return steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{p}, To: to(hops...)}
}

func TestMemPassesTheExam(t *testing.T) {
	unreachable := netip.MustParseAddr("198.51.100.99")
	router := NewRouter()
	router.Refuse(unreachable, errors.New("network is unreachable"))
	drivertest.Exam(t, &bench{router: router, unreachable: unreachable})
}

// A bench is a Router being examined.
type bench struct {
	router      *Router
	unreachable netip.Addr
}

func (b *bench) Open(_ *testing.T, cohorts [][]netip.Prefix) drivers.Driver {
	return b.router.Open(slices.Concat(cohorts...))
}

func (b *bench) Traits() drivertest.Traits {
	return drivertest.Traits{
		Hops4: []netip.Addr{web1, web2, netip.MustParseAddr("192.0.2.13")},
		Hops6: []netip.Addr{
			netip.MustParseAddr("2001:db8:1::11"), netip.MustParseAddr("2001:db8:1::12"), netip.MustParseAddr("2001:db8:1::13"),
		},
		Unreachable: b.unreachable,
		ECMP:        true, Weights: true, Foreign: true, Drift: true,
	}
}

func (b *bench) Plant(_ *testing.T, p netip.Prefix, hops []steer.NextHop) {
	b.router.Plant(steer.Route{Prefix: p, NextHops: hops, Foreign: true})
}

func (b *bench) Bend(_ *testing.T, p netip.Prefix, hops []steer.NextHop) {
	b.router.Plant(steer.Route{Prefix: p, NextHops: hops})
}

func (b *bench) Take(_ *testing.T, p netip.Prefix) { b.router.Take(p) }

func (b *bench) Guard(_ *testing.T, p netip.Prefix) func() []string {
	before := b.router.Gaps(p)
	return func() []string {
		if b.router.Gaps(p) != before {
			return []string{"the router counted one"}
		}
		return nil
	}
}

func TestRouterPrintsItselfAsAnOperatorReadsRoutes(t *testing.T) {
	router := NewRouter()
	d := router.Open([]netip.Prefix{vipA, vipB})
	router.Plant(steer.Route{Prefix: vipC, NextHops: to(web1), Foreign: true})
	heavy := add(vipB, web1, web2)
	heavy.To[1].Weight = 3
	if _, err := d.Apply(t.Context(), []steer.Change{add(vipA, web2), heavy}); err != nil {
		t.Fatal(err)
	}
	want := `203.0.113.32/27 via 192.0.2.12 proto routesteer
203.0.113.64/27 nexthop via 192.0.2.11 weight 1 nexthop via 192.0.2.12 weight 3 proto routesteer
203.0.113.96/27 via 192.0.2.11 proto static
`
	if got := router.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := router.Changes(); got != 2 {
		t.Errorf("counted %d changes, want 2", got)
	}
}

func TestStrayRoutesGoWhenTheRightOneIsWritten(t *testing.T) {
	router := NewRouter()
	d := router.Open([]netip.Prefix{vipA})
	router.Plant(steer.Route{Prefix: vipA, NextHops: to(web1)})
	router.Append(steer.Route{Prefix: vipA, NextHops: to(web1), Stray: true})
	change := steer.Change{Op: steer.Replace, Prefixes: []netip.Prefix{vipA}, From: to(web1), To: to(web1)}
	if n, err := d.Apply(t.Context(), []steer.Change{change}); n != 1 || err != nil {
		t.Fatalf("Apply took %d changes: %v", n, err)
	}
	if got, want := router.String(), "203.0.113.32/27 via 192.0.2.11 proto routesteer\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCutAfterStopsAnApplyHalfWay(t *testing.T) {
	router := NewRouter()
	d := router.Open([]netip.Prefix{vipA, vipB, vipC})
	plan := []steer.Change{add(vipA, web1), add(vipB, web1), add(vipC, web1)}
	router.CutAfter(2)
	n, err := d.Apply(t.Context(), plan)
	if n != 2 || !errors.Is(err, ErrLost) {
		t.Errorf("Apply took %d changes: %v; want 2 and ErrLost", n, err)
	}
	if got := len(router.Look()); got != 2 {
		t.Errorf("the router has %d routes, want 2", got)
	}
	if _, err := d.Routes(t.Context()); !errors.Is(err, ErrLost) {
		t.Errorf("Routes while cut off: %v, want ErrLost", err)
	}
	router.Mend()
	if n, err := d.Apply(t.Context(), plan); n != 3 || err != nil {
		t.Errorf("Apply after Mend took %d changes: %v", n, err)
	}
	if got := router.Changes(); got != 3 {
		t.Errorf("counted %d changes, want 3: those that were true count no more", got)
	}
}

func TestDelayEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := NewRouter()
		d := router.Open([]netip.Prefix{vipA})
		router.Delay(time.Minute)
		start := time.Now()
		if n, err := d.Apply(t.Context(), []steer.Change{add(vipA, web1)}); n != 1 || err != nil || time.Since(start) != time.Minute {
			t.Errorf("Apply took %d changes in %v: %v; want 1 in 1m", n, time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if _, err := d.Routes(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Routes took %v: %v; want 1s and DeadlineExceeded", time.Since(start), err)
		}
	})
}

func TestCallsAfterCloseFailAndRoutesStay(t *testing.T) {
	router := NewRouter()
	d := router.Open([]netip.Prefix{vipA})
	if _, err := d.Apply(t.Context(), []steer.Change{add(vipA, web1)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Routes(t.Context()); err == nil {
		t.Error("Routes after Close gave no error")
	}
	if got := len(router.Look()); got != 1 {
		t.Errorf("the router has %d routes after Close, want 1", got)
	}
}

func TestLookingWhileChangesAreMadeIsSafe(t *testing.T) {
	router := NewRouter()
	d := router.Open([]netip.Prefix{vipA})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			if _, err := d.Apply(t.Context(), []steer.Change{add(vipA, []netip.Addr{web1, web2}[i%2])}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 200 {
			_ = router.String()
		}
	})
	wg.Wait()
	if got := router.Gaps(vipA); got != 0 {
		t.Errorf("the prefix went without a route %d times", got)
	}
}
