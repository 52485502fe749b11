package flows

import (
	"net/netip"
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
