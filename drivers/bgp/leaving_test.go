package bgp

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// leaves reports whether an UPDATE announces with GRACEFUL_SHUTDOWN.
func leaves(update *bgp.BGPUpdate) bool {
	return slices.ContainsFunc(update.PathAttributes, func(a bgp.PathAttributeInterface) bool {
		communities, is := a.(*bgp.PathAttributeCommunities)
		return is && slices.Contains(communities.Value, 65535<<16)
	})
}

// TestAWithdrawalIsAnnouncedBefore: what is to be withdrawn is announced by the
// same next hops with GRACEFUL_SHUTDOWN, and goes later; for operators, and for
// who decides, it has gone at once. What is wanted again is announced without.
func TestAWithdrawalIsAnnouncedBefore(t *testing.T) {
	if elsewhere(t) {
		return
	}
	const leave = 2 * time.Second // much longer than the steps below take on a busy machine
	p := newRouter(t).listen(t)
	m := speak(t, site(func(cfg *topology.BGP) { cfg.GracefulShutdown = leave }), vip4)
	m.send(only(vip4), web1)
	p.accept(modern()...)
	p.next()
	m.established()
	m.changed()

	m.send(only(vip4))
	m.send(only(vip4)) // which changes nothing
	if update := p.next(); withdraws(update) || !leaves(update) {
		t.Errorf("first of a withdrawal: UPDATE %v", update)
	} else if _, hop := announces(update); hop != web1 {
		t.Errorf("next hop %s, want %s", hop, web1)
	}
	m.has(0)
	needs(t, m.driver.Info().Sessions[0].Detail, "1 prefixes announced, 1 of them about to be withdrawn (GRACEFUL_SHUTDOWN)")
	m.send(only(vip4), web2)
	if update := p.next(); withdraws(update) || leaves(update) {
		t.Errorf("it is wanted again: UPDATE %v", update)
	}
	m.has(1)

	m.changed() // of the first time, which is over, and nothing is to be withdrawn
	m.has(1)
	start := time.Now()
	m.send(only(vip4))
	if update := p.next(); withdraws(update) || !leaves(update) {
		t.Errorf("first of a withdrawal: UPDATE %v", update)
	}
	m.changed()
	m.has(0)
	if update := p.next(); !withdraws(update) {
		t.Errorf("the end of a withdrawal: UPDATE %v", update)
	}
	if took := time.Since(start); took < leave {
		t.Errorf("withdrawn after %v, want no sooner than %v", took, leave)
	}
	needs(t, m.driver.Info().Sessions[0].Detail, "0 prefixes announced")
}

// changed waits for the driver's news.
func (m *mouth) changed() {
	m.Helper()
	select {
	case <-m.driver.Changed():
	case <-time.After(longest):
		m.Fatal("no news")
	}
}

// has checks how many routes the driver tells of.
func (m *mouth) has(want int) {
	m.Helper()
	if routes, err := m.driver.Routes(m.Context()); err != nil || len(routes) != want {
		m.Errorf("routes %v, %v; want %d", routes, err, want)
	}
}

// TestTheEndIsAnnouncedBefore: at_exit: withdraw.
func TestTheEndIsAnnouncedBefore(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := newRouter(t).listen(t)
	m := speak(t, site(func(cfg *topology.BGP) {
		cfg.AtExit, cfg.GracefulShutdown = topology.AtExitWithdraw, 100*time.Millisecond
	}), vip4)
	m.send(only(vip4), web1)
	p.accept(modern()...)
	p.next()
	m.established()
	m.host.Close()
	if update := p.next(); withdraws(update) || !leaves(update) {
		t.Errorf("last UPDATE %v", update)
	}
	for update := range p.updates {
		t.Errorf("after it UPDATE %v; want the end of the session", update)
	}
}

// TestFRRPrefersWhatLeavesLeast, and has the route as long as it is announced.
func TestFRRPrefersWhatLeavesLeast(t *testing.T) {
	if elsewhere(t) {
		return
	}
	f := newRouter(t).startFRR(frrConfig)
	m := speak(t, site(func(cfg *topology.BGP) { cfg.GracefulShutdown = time.Minute }), vip4, vip6)
	m.sendBoth()
	f.routes(vip4, web1)
	f.routes(vip6, web16)
	m.send(only(vip4, vip6))
	for family, p := range map[string]netip.Prefix{"ipv4": vip4, "ipv6": vip6} {
		f.soon("FRR sees the community", func() bool {
			return strings.Contains(f.show("show bgp "+family+" unicast "+p.String()), "graceful-shutdown")
		})
		needs(t, f.show("show bgp "+family+" unicast "+p.String()), "localpref 0")
	}
	f.routes(vip4, web1)
	f.routes(vip6, web16)
}

func (m *mouth) sendBoth() {
	m.Helper()
	m.send(only(vip4), web1)
	m.send(only(vip6), web16)
}

// otherSite is a second session, with another AS, in BIRD's configuration. shunned
// is docs/bgp.md's import.
const (
	otherSite = `
protocol bgp elsewhere {
	local 2001:db8:1::1 as 65001;
	neighbor 2001:db8:1::2 as 65002;
	hold time 9;
	ipv4 { extended next hop; import all; export none; };
}
`
	shunned = "import filter { if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept; };"
)

// TestAnotherSiteTakesOverBeforeAWithdrawal: BIRD, with the filter of docs/bgp.md, has
// a longer path from elsewhere, and goes over to it while the first is announced.
func TestAnotherSiteTakesOverBeforeAWithdrawal(t *testing.T) {
	if elsewhere(t) {
		return
	}
	needs(t, string(read(t, "../../docs/bgp.md")), shunned)
	b := newRouter(t).startBird(strings.Replace(birdConfig, "ipv4 { import all;", "ipv4 { "+shunned, 1) + otherSite)
	there := speak(t, site(func(cfg *topology.BGP) {
		cfg.ASN, cfg.RouterID, cfg.Prepend, cfg.Peers[0].Address = 65002, web2, 1, router6
	}), vip4)
	there.send(only(vip4), web2)
	b.routes(vip4, web2)
	here := speak(t, site(func(cfg *topology.BGP) { cfg.GracefulShutdown = time.Minute }), vip4)
	here.send(only(vip4), web1)
	b.routes(vip4, web1)
	gone := b.removals(vip4)
	here.send(only(vip4))
	b.routes(vip4, web2)
	if gaps := gone(); len(gaps) > 0 {
		t.Error(gaps)
	}
	if seen := b.birdc("show route for %s", vip4); strings.Count(seen, "unicast") != 2 {
		t.Errorf("the first is withdrawn already:\n%s", seen)
	}
}

// TestPeersOfOurASAreToldTheLowestPreference, which is ours to say there.
func TestPeersOfOurASAreToldTheLowestPreference(t *testing.T) {
	before := newAttributes(ourAS, topology.Attributes{LocalPref: 200, Origin: topology.OriginIGP})
	last := before.leaving()
	if last.LocalPref != 0 || !slices.Contains(last.Communities, gracefulShutdown()) || before.LocalPref != 200 || len(before.Communities) > 0 {
		t.Errorf("%+v becomes %+v", before, last)
	}
	if again := last.leaving(); len(again.Communities) != 1 {
		t.Errorf("the community is given twice: %+v", again)
	}
}

// TestARouteThatIsNotAsWantedIsToldSo: an announcement that failed half-way is
// put right by the next pass.
func TestARouteThatIsNotAsWantedIsToldSo(t *testing.T) {
	newRouter(t)
	m := speak(t, site(func(cfg *topology.BGP) { cfg.GracefulShutdown = time.Minute }), vip4)
	m.send(only(vip4), web1)
	m.send(only(vip4))
	clear(m.driver.speaker.leaving) // as if it had been wanted again, and the announcement failed
	routes, err := m.driver.Routes(t.Context())
	if err != nil || len(routes) != 1 || !routes[0].Stray {
		t.Fatalf("%+v, %v: want a stray route", routes, err)
	}
	if _, err := m.driver.Apply(t.Context(), []steer.Change{{Op: steer.Replace, Prefixes: only(vip4), To: to(web1)}}); err != nil {
		t.Fatal(err)
	}
	if routes, err = m.driver.Routes(t.Context()); err != nil || routes[0].Stray {
		t.Errorf("%+v, %v", routes, err)
	}
}
