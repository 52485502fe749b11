package bgp

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/drivertest"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// TestTheDocumentationShowsTheTestedConfigurations keeps docs/bgp.md to what
// these tests run.
func TestTheDocumentationShowsTheTestedConfigurations(t *testing.T) {
	text := string(read(t, "../../docs/bgp.md"))
	for name, config := range map[string]string{"BIRD": birdConfig, "FRR": frrConfig} {
		if !strings.Contains(text, "```\n"+strings.TrimPrefix(config, "\n")+"```\n") {
			t.Errorf("docs/bgp.md has another configuration for %s", name)
		}
	}
}

func TestTheDriverPassesTheExamOnBIRD(t *testing.T) {
	if elsewhere(t) {
		return
	}
	r := newRouter(t)
	r.startBird(birdConfig)
	drivertest.Exam(t, newBench(t, r, false))
}

// A bench is a router being examined: its kernel is what Guard watches.
type bench struct {
	router *router
	host   *Host
	driver *Driver // opened last
	// planned makes all changes planned ones: FRR drops paths to next hops that it
	// does not know yet, which is not to be seen when the old one has failed.
	planned bool
}

func newBench(t *testing.T, r *router, planned bool) *bench {
	b := &bench{router: r, host: NewHost(t.TempDir(), quiet()), planned: planned}
	t.Cleanup(b.host.Close)
	return b
}

func (b *bench) Open(t *testing.T, cohorts [][]netip.Prefix) drivers.Driver {
	t.Helper()
	d, err := b.host.Open(site(func(cfg *topology.BGP) { cfg.Peers[0].HoldTime = 9e9 }), vips(slices.Concat(cohorts...)...))
	if err != nil {
		t.Fatal(err)
	}
	b.driver = d
	if b.planned {
		return planner{d}
	}
	return d
}

// A planner makes all changes planned ones.
type planner struct{ *Driver }

func (p planner) Apply(ctx context.Context, changes []steer.Change) (int, error) {
	for i := range changes {
		changes[i].Graceful = true
	}
	return p.Driver.Apply(ctx, changes)
}

// Traits leave out what BGP cannot know: routes of the router that are not
// ours, and what becomes of ours there.
func (b *bench) Traits() drivertest.Traits {
	return drivertest.Traits{
		Hops4: addrs("192.0.2.11", "192.0.2.12", "192.0.2.13"),
		Hops6: addrs("2001:db8:1::11", "2001:db8:1::12", "2001:db8:1::13"),
		ECMP:  !b.planned, // of which each waits for FRR: TestSeveralNextHopsOnFRR; with weights: TestWeightsAreKept
	}
}

// TestWeightsAreKept in link bandwidths, which come and go with the weights.
func TestWeightsAreKept(t *testing.T) {
	newRouter(t)
	m := speak(t, site(nil), vip4)
	for _, weights := range [][2]int{{1, 3}, {256, 3}, {1, 1}, {2, 1}} {
		hops := []steer.NextHop{{Address: web1, Weight: weights[0]}, {Address: web2, Weight: weights[1]}}
		if _, err := m.driver.Apply(t.Context(), []steer.Change{{Op: steer.Replace, Prefixes: only(vip4), To: hops}}); err != nil {
			t.Fatal(err)
		}
		routes, err := m.driver.Routes(t.Context())
		if err != nil || len(routes) != 1 || !slices.Equal(routes[0].NextHops, hops) {
			t.Errorf("routes %v, %v; want %v", routes, err, hops)
		}
	}
}

func (b *bench) Plant(t *testing.T, _ netip.Prefix, _ []steer.NextHop) { t.Fatal("not in the traits") }
func (b *bench) Bend(t *testing.T, _ netip.Prefix, _ []steer.NextHop)  { t.Fatal("not in the traits") }
func (b *bench) Take(t *testing.T, _ netip.Prefix)                     { t.Fatal("not in the traits") }

// Guard listens for the news of the router's kernel. BGP is slower than Apply:
// it waits until what was announced first, and last, is in the kernel.
func (b *bench) Guard(t *testing.T, p netip.Prefix) func() []string {
	t.Helper()
	b.arrived(t, p)
	removals := b.router.removals(p)
	return func() []string {
		b.arrived(t, p)
		return removals()
	}
}

// arrived waits until the kernel has what the driver tells.
func (b *bench) arrived(t *testing.T, p netip.Prefix) {
	t.Helper()
	routes, err := b.driver.speaker.routes()
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		if route.Prefix == p {
			b.router.routes(p, addressesOf(route.NextHops)...)
		}
	}
}

func addressesOf(hops []steer.NextHop) []netip.Addr {
	var all []netip.Addr
	for _, hop := range hops {
		all = append(all, hop.Address)
	}
	return all
}
