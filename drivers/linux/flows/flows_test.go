package flows

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// families runs the test for a VIP of each.
func families(t *testing.T, test func(*testing.T, *world, netip.Prefix)) {
	for name, vip := range map[string]netip.Prefix{"IPv4": vip4, "IPv6": vip6} {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t), vip) })
	}
}

func TestAMoveBreaksNoConnectionAndNewOnesGoToTheNewServer(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		old := w.dial(vip)
		old.isAt("web1")
		silent := w.dial(vip) // says nothing before the move
		w.move(k, vip, web(vip, 1), web(vip, 2))
		fresh := w.dial(vip)
		fresh.isAt("web2")
		old.isAt("web1")
		silent.isAt("web1")
		fresh.isAt("web2")

		tr := w.transition(k)
		if len(tr.Left) != 1 || tr.Left[0].Flows != 2 || tr.Left[0].At[0] != web(vip, 1)[0] {
			t.Errorf("left: %v; want two connections at web1", tr.Left)
		}
		if left := time.Until(tr.Until); left < 50*time.Second || left > time.Minute {
			t.Errorf("the transition ends in %s; want a minute from its start", left)
		}
		for _, p := range []*peer{old, silent} {
			_ = p.Close()
		}
		if err := k.End([]netip.Prefix{vip}); err != nil {
			t.Fatal(err)
		}
		fresh.isAt("web2")
		w.isClean()
	})
}

func TestASecondMoveLeavesConnectionsOfBothServersWhereTheyAre(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		first := w.dial(vip)
		first.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		second := w.dial(vip)
		second.isAt("web2")
		w.move(k, vip, web(vip, 2), web(vip, 3))
		third := w.dial(vip)
		third.isAt("web3")
		first.isAt("web1")
		second.isAt("web2")
		third.isAt("web3")
		if tr := w.transition(k); len(tr.Left) != 2 || tr.Left[0].Flows != 1 || tr.Left[1].Flows != 1 {
			t.Errorf("left: %v; want one connection at web1 and one at web2", tr.Left)
		}
	})
}

func TestAMoveBackInMidTransition(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		first := w.dial(vip)
		first.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		second := w.dial(vip)
		second.isAt("web2")
		w.move(k, vip, web(vip, 2), web(vip, 1))
		third := w.dial(vip)
		third.isAt("web1")
		first.isAt("web1")
		second.isAt("web2")
		if tr := w.transition(k); len(tr.Left) != 1 || tr.Left[0].Flows != 1 || tr.Left[0].At[0] != web(vip, 2)[0] {
			t.Errorf("left: %v; want one connection at web2", tr.Left)
		}
	})
}

func TestTheNewServerFailsInMidTransition(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		first := w.dial(vip)
		first.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		second := w.dial(vip)
		second.isAt("web2")
		until := w.transition(k).Until
		// A failure: new connections go elsewhere at once, those of the lost server
		// are reset there instead of waiting for nobody.
		if err := k.Redirect([]Move{{Prefix: vip, From: web(vip, 2), To: web(vip, 3)}}); err != nil {
			t.Fatal(err)
		}
		w.route(vip, web(vip, 3))
		if err := k.Release(map[netip.Prefix][]netip.Addr{vip: {web(vip, 2)[0].Address}}); err != nil {
			t.Fatal(err)
		}
		third := w.dial(vip)
		third.isAt("web3")
		first.isAt("web1")
		second.isCut()
		if later := w.transition(k).Until; later.Sub(until).Abs() > time.Second {
			t.Errorf("a failure moved the end of the transition from %s to %s", until, later)
		}
	})
}

func TestTheOldServerFailsInMidTransition(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		first, silent := w.dial(vip), w.dial(vip)
		first.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		first.isAt("web1")
		second := w.dial(vip)
		second.isAt("web2")
		if err := k.Release(map[netip.Prefix][]netip.Addr{vip: {web(vip, 1)[0].Address}}); err != nil {
			t.Fatal(err)
		}
		first.isCut()
		silent.isCut()
		second.isAt("web2")
		if tr := w.transition(k); len(tr.Left) != 0 {
			t.Errorf("left: %v; want nothing", tr.Left)
		}
	})
}

func TestAControllerStartedAgainFindsTheTransition(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		w.route(vip, web(vip, 1))
		old := w.dial(vip)
		before, err := Open(w.router.Fd(), usual, discard)
		if err != nil {
			t.Fatal(err)
		}
		w.move(before, vip, web(vip, 1), web(vip, 2))
		fresh := w.dial(vip)
		old.isAt("web1")
		until := w.transition(before).Until
		if err := before.Close(); err != nil { // kill -9 leaves as much
			t.Fatal(err)
		}
		old.isAt("web1")
		fresh.isAt("web2")

		k := w.open(usual)
		tr := w.transition(k)
		if len(tr.Left) != 1 || tr.Left[0].Flows != 1 || tr.Until.Sub(until).Abs() > 2*time.Second {
			t.Errorf("found %v until %s; want one connection at web1 until %s", tr.Left, tr.Until, until)
		}
		w.move(k, vip, web(vip, 2), web(vip, 3))
		old.isAt("web1")
		fresh.isAt("web2")
		w.dial(vip).isAt("web3")
	})
}

func TestTheKernelEndsATransitionWithoutUs(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		short := usual
		short.Timeout = 2 * time.Second
		w.route(vip, web(vip, 1))
		old := w.dial(vip)
		k, err := Open(w.router.Fd(), short, discard)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w.move(k, vip, web(vip, 1), web(vip, 2))
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		w.eventually("the connection is cut", func() bool { _, err := old.ask(); return err != nil })
		if took := time.Since(began); took < short.Timeout-100*time.Millisecond {
			t.Errorf("the transition ended after %s; want %s", took, short.Timeout)
		}
		w.open(short)
		w.isClean()
	})
}

func TestEqualCostServersKeepTheirConnections(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.run(w.router, "sysctl -qw net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1")
		for server := 1; server <= 3; server++ { // IPv6 chooses otherwise while it does not know its neighbours
			w.route(vip, web(vip, server))
			w.dial(vip).isAt(fmt.Sprintf("web%d", server))
		}
		w.route(vip, web(vip, 1, 2, 3))
		at := map[*peer]string{}
		seen := map[string]int{}
		for range 60 {
			p := w.dial(vip)
			name, err := p.ask()
			if err != nil {
				t.Fatal(err)
			}
			at[p] = name
			seen[name]++
		}
		if len(seen) != 3 {
			t.Fatalf("connections go to %v; want all three servers", seen)
		}
		w.move(k, vip, web(vip, 1, 2, 3), web(vip, 2, 3))
		for range 30 {
			p := w.dial(vip)
			name, err := p.ask()
			if err != nil || name == "web1" {
				t.Errorf("a new connection is answered by %q, %v", name, err)
			}
			at[p] = name
		}
		for p, name := range at {
			p.isAt(name)
		}
	})
}

func TestOtherPrefixesAreNotTouched(t *testing.T) {
	w := newWorld(t)
	k := w.open(usual)
	w.route(vip4, web(vip4, 1))
	w.route(other, web(other, 1))
	bystander := w.dial(other)
	bystander.isAt("web1")
	w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	bystander.isAt("web1")
	w.move(k, other, web(other, 1), web(other, 3))
	bystander.isAt("web1")
	w.dial(other).isAt("web3")
	if err := k.End([]netip.Prefix{vip4}); err != nil {
		t.Fatal(err)
	}
	bystander.isAt("web1")
	if tr := w.transition(k); tr.Prefix != other {
		t.Errorf("%s is in transition; want %s", tr.Prefix, other)
	}
	if err := k.End([]netip.Prefix{other}); err != nil {
		t.Fatal(err)
	}
	w.isClean()
}

// What was noted in an earlier transition is not true in a later one: the
// client may have made a new connection from the same port since.
func TestALaterTransitionForgetsTheEarlierOne(t *testing.T) {
	w := newWorld(t)
	k := w.open(usual)
	w.route(other, web(other, 1))
	w.move(k, other, web(other, 1), web(other, 2)) // stays, so that the table does
	w.route(vip4, web(vip4, 1))
	w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	stale := w.dial(vip4)
	stale.isAt("web2")
	from := stale.LocalAddr().String()
	if err := k.End([]netip.Prefix{vip4}); err != nil {
		t.Fatal(err)
	}
	w.route(vip4, web(vip4, 3))
	stale.reset()
	again := w.dialFrom(from, vip4)
	again.isAt("web3")
	w.move(k, vip4, web(vip4, 3), web(vip4, 1))
	again.isAt("web3")
}

func TestAPortUsedAgainIsANewConnection(t *testing.T) {
	w := newWorld(t)
	k := w.open(usual)
	w.route(vip4, web(vip4, 1))
	old := w.dial(vip4)
	old.isAt("web1")
	from := old.LocalAddr().String()
	w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	old.isAt("web1")
	old.reset()
	again := w.dialFrom(from, vip4)
	again.isAt("web2")
	again.isAt("web2")
	if tr := w.transition(k); len(tr.Left) != 0 {
		t.Errorf("left: %v; want nothing", tr.Left)
	}
}

func TestAConnectionThatEndsIsNotCounted(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		stays, ends, dies := w.dial(vip), w.dial(vip), w.dial(vip)
		w.move(k, vip, web(vip, 1), web(vip, 2))
		for _, p := range []*peer{stays, ends, dies} {
			p.isAt("web1")
		}
		if tr := w.transition(k); len(tr.Left) != 1 || tr.Left[0].Flows != 3 {
			t.Fatalf("left: %v; want 3 connections", tr.Left)
		}
		_ = ends.Close()
		dies.reset()
		w.eventually("one connection is left", func() bool {
			tr := w.transition(k)
			return len(tr.Left) == 1 && tr.Left[0].Flows == 1
		})
		stays.isAt("web1")
	})
}

func TestPastTheLimitConnectionsFollowTheRouteAndAreCounted(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		few := usual
		few.Limit = 64
		k := w.open(few)
		w.route(vip, web(vip, 1))
		w.move(k, vip, web(vip, 1), web(vip, 2))
		var made []*peer
		for range 200 {
			p := w.dial(vip)
			made = append(made, p)
			p.isAt("web2")
		}
		tr := w.transition(k)
		if tr.Overflow < 100 || tr.Overflow > 150 {
			t.Errorf("%d connections past the limit are counted; want 200 less about 64", tr.Overflow)
		}
		for _, p := range made {
			p.isAt("web2")
		}
	})
}

func TestPathMTUDiscoveryReachesTheServerOfTheConnection(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		old := w.dial(vip)
		old.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		before := w.icmpErrors(0)
		w.tooBig(vip, old)
		w.eventually("web1 hears that its packets are too big", func() bool { return w.icmpErrors(0) > before })
		if got := w.icmpErrors(1); got != 0 {
			t.Errorf("web2 got %d ICMP errors about connections of web1", got)
		}
	})
}

func TestUDPFollowsTheRouteByDefault(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		old := w.dialBy("udp", vip)
		old.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		old.isAt("web2")
	})
}

func TestStickyUDPStaysIfItSpeaksSoonAfterTheMove(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		sticky := usual
		sticky.StickyUDP = true
		k := w.open(sticky)
		w.route(vip, web(vip, 1))
		old := w.dialBy("udp", vip)
		old.isAt("web1")
		w.move(k, vip, web(vip, 1), web(vip, 2))
		old.isAt("web1")
		w.eventually("a new flow goes to web2", func() bool {
			p := w.dialBy("udp", vip)
			defer p.Close()
			got, err := p.ask()
			if err != nil {
				t.Fatal(err)
			}
			return got == "web2"
		})
		old.isAt("web1")
		// A second move learns anew, from the server that has it now.
		second := w.dialBy("udp", vip)
		second.isAt("web2")
		w.move(k, vip, web(vip, 2), web(vip, 3))
		second.isAt("web2")
		old.isAt("web1")
	})
}

func TestANextHopBehindALinkThatCameBackIsUsedAgain(t *testing.T) {
	w := newWorld(t)
	k := w.open(usual)
	w.route(vip4, web(vip4, 1))
	old := w.dial(vip4)
	old.isAt("web1")
	w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	old.isAt("web1")
	w.run(w.router, "ip link set lan down")
	w.run(w.router, "ip link set lan up")
	w.route(vip4, web(vip4, 2))
	w.transition(k)
	old.isAt("web1")
}

func TestManyPrefixesMoveAtOnce(t *testing.T) {
	w := newWorld(t)
	k := w.open(usual)
	moves, prefixes := many(20000)
	if err := k.Begin(moves); err != nil {
		t.Fatal(err)
	}
	all, err := k.Transitions()
	if err != nil || len(all) != len(moves) {
		t.Fatalf("%d transitions, %v; want %d", len(all), err, len(moves))
	}
	for i, tr := range all {
		if tr.Prefix != prefixes[i] {
			t.Fatalf("transition %d is of %s; want %s", i, tr.Prefix, prefixes[i])
		}
	}
	if err := k.End(prefixes[:100]); err != nil {
		t.Fatal(err)
	}
	if all, err = k.Transitions(); err != nil || len(all) != len(moves)-100 {
		t.Fatalf("%d transitions, %v; want %d", len(all), err, len(moves)-100)
	}
	if err := k.End(prefixes); err != nil {
		t.Fatal(err)
	}
	w.isClean()
}

func TestATableThatSomebodyElseMadeIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.run(w.router, "nft add table ip routesteer")
	if _, err := Open(w.router.Fd(), usual, discard); err == nil {
		t.Error("a foreign table of our name is taken for ours")
	}
	if left := w.run(w.router, "nft list tables"); left == "" {
		t.Error("the foreign table is gone")
	}
}

func TestARulesetThatSomebodyFlushedIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	k := w.open(usual)
	w.route(vip4, web(vip4, 1))
	w.move(k, vip4, web(vip4, 1), web(vip4, 2))
	w.run(w.router, "nft flush ruleset")
	if all, err := k.Transitions(); err != nil || len(all) != 0 {
		t.Errorf("transitions: %v, %v; want none", all, err)
	}
	w.isClean()
	old := w.dial(vip4)
	old.isAt("web2")
	w.move(k, vip4, web(vip4, 2), web(vip4, 3))
	w.run(w.router, "nft delete table ip routesteer")
	w.move(k, vip4, web(vip4, 3), web(vip4, 1)) // without a look in between
	w.dial(vip4).isAt("web1")
	if err := k.End([]netip.Prefix{vip4}); err != nil {
		t.Fatal(err)
	}
	w.isClean()
}

func TestAPolicyRuleBeforeOursIsNoticed(t *testing.T) {
	families(t, func(t *testing.T, w *world, vip netip.Prefix) {
		k := w.open(usual)
		w.route(vip, web(vip, 1))
		family := "-4"
		if vip.Addr().Is6() {
			family = "-6"
		}
		w.run(w.router, "ip "+family+" rule add priority 100 fwmark 0x5253f000/0xff000000 lookup main")
		err := k.Begin([]Move{{Prefix: vip, From: web(vip, 1), To: web(vip, 2)}})
		if err == nil || !strings.Contains(err.Error(), "another policy rule comes before") {
			t.Errorf("got %v, want what is in the way", err)
		}
		w.isClean()
	})
}
