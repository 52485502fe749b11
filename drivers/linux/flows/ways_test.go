package flows

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/steer"
)

// far is a server behind a link of its own, web9 at 198.51.100.9 and 2001:db8:9::9.
func (w *world) far(vip netip.Prefix) []steer.NextHop {
	w.t.Helper()
	server := namespace(w.t, "web9")
	w.cable(w.router, "far", server, "eth0")
	w.addresses(w.router, "far", "198.51.100.1/24", "2001:db8:9::1/64")
	w.addresses(server, "eth0", "198.51.100.9/24", "2001:db8:9::9/64")
	for _, vip := range []netip.Prefix{vip4, vip6, other} {
		w.addresses(server, "lo", netip.PrefixFrom(address(vip), address(vip).BitLen()).String())
	}
	w.gateway(server, "198.51.100.1", "2001:db8:9::1")
	w.serve(server, "web9")
	hop := netip.MustParseAddr("198.51.100.9")
	if vip.Addr().Is6() {
		hop = netip.MustParseAddr("2001:db8:9::9")
	}
	return []steer.NextHop{{Address: hop, Weight: 1}}
}

func TestALinkThatIsAwayDoesNotKeepAFailureFromBeingFollowed(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		far := w.far(vip)
		w.route(vip, far)
		w.dial(vip).isAt("web9")
		w.move(k, vip, far, web(vip, 1))
		old := w.dial(vip)
		old.isAt("web1")
		w.run(w.router, "ip link set far down") // the drained server is being worked on
		if all, err := k.Transitions(); err != nil || len(all) != 1 {
			t.Errorf("transitions while a link is away: %v, %v; want one", all, err)
		}
		if err := k.Redirect([]Move{{Prefix: vip, From: web(vip, 1), To: web(vip, 2)}}); err != nil {
			t.Error(err)
		}
		w.route(vip, web(vip, 2))
		w.dial(vip).isAt("web2")
		old.isAt("web1")
		w.move(k, vip, web(vip, 2), web(vip, 3))
		w.dial(vip).isAt("web3")
		old.isAt("web1")
	})
}

func TestPolicyRulesThatSomebodyFlushedAreMadeAgain(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		old, other := w.dial(vip), w.dial(vip)
		w.move(k, vip, web(vip, 1), web(vip, 2))
		old.isAt("web1")
		version := "-4"
		if vip.Addr().Is6() {
			version = "-6"
		}
		for _, gone := range []string{"5100", "5100", "5101"} {
			w.run(w.router, "ip "+version+" rule del priority "+gone)
		}
		w.transition(k)
		other.isAt("web1")
		old.isAt("web1")
	})
}

func TestAReversePathFilterByMarkIsNoticed(t *testing.T) {
	w := newWorld(t)
	w.run(w.router, "sysctl -qw net.ipv4.conf.wan.rp_filter=1 net.ipv4.conf.all.src_valid_mark=1")
	k, err := Open(w.router.Fd(), usual, discard)
	if err == nil || !strings.Contains(err.Error(), "net.ipv4.conf.wan.rp_filter=2") {
		t.Errorf("keeper %v, error %v; want one that says what to set", k, err)
	}
	w.run(w.router, "sysctl -qw net.ipv4.conf.wan.rp_filter=2")
	k = w.open(usual)
	w.route(vip4, web(vip4, 1))
	old := w.dial(vip4)
	w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	old.isAt("web1")
	w.dial(vip4).isAt("web2")
}

func TestAReversePathFilterLikeFirewalldsDropsNothing(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.run(w.router, "nft add table inet fw")
		w.run(w.router, "nft add chain inet fw pre { type filter hook prerouting priority -140 ; }")
		w.run(w.router, "nft add rule inet fw pre fib saddr . mark . iif oif missing drop")
		w.route(vip, web(vip, 1))
		old := w.dial(vip)
		old.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		old.isAt("web1")
		w.dial(vip).isAt("web2")
	})
}

func TestStickyUDPLeavesALostServer(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		sticky := usual
		sticky.StickyUDP = true
		k := w.open(sticky)
		w.route(vip, web(vip, 1))
		old := w.dialBy("udp", vip)
		old.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		old.isAt("web1")
		if err := k.Release(map[netip.Prefix][]netip.Addr{vip: {web(vip, 1)[0].Address}}); err != nil {
			t.Fatal(err)
		}
		old.isAt("web2")
	})
}

func TestStickyUDPFollowsTheRouteOnceTheTransitionIsOver(t *testing.T) {
	w := newWorld(t)
	sticky := usual
	sticky.StickyUDP = true
	k := w.open(sticky)
	w.route(vip4, web(vip4, 1))
	w.route(other, web(vip4, 1))
	old := w.dialBy("udp", vip4)
	old.isAt("web1")
	w.move(k, other, web(vip4, 1), web(vip4, 2))
	w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	old.isAt("web1")
	if err := k.End([]netip.Prefix{vip4}); err != nil {
		t.Fatal(err)
	}
	old.isAt("web2")
}

func TestNeighbouringPrefixesMoveInAnyOrder(t *testing.T) {
	w := newWorld(t)
	sticky := usual
	sticky.StickyUDP = true
	k := w.open(sticky)
	var moves []Move
	var all []netip.Prefix
	for _, p := range []string{"1.0.0.0/8", "2.0.0.0/7", "203.0.113.0/27", "203.0.113.32/27", "203.0.113.64/26", "223.255.255.252/31", "223.255.255.254/31",
		"::2/127", "::4/126", "2001:db8::/64", "2001:db8:0:1::/64", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"} {
		vip := netip.MustParsePrefix(p)
		all = append(all, vip)
		moves = append(moves, Move{Prefix: vip, From: web(vip, 1), To: web(vip, 2)})
	}
	for round := range 60 {
		from, to := 1+round%3, 1+(round+1)%3
		for i, m := range moves {
			moves[i].From, moves[i].To = web(m.Prefix, from), web(m.Prefix, to)
		}
		some := moves
		if round%2 == 1 {
			some = moves[round%len(moves):]
		}
		if err := k.Begin(some); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if round%3 == 0 {
			if _, err := k.Transitions(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if round%7 == 0 {
			if err := k.End(all[:round%len(all)]); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
}
