package linux

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/steer"
)

// soon is how long a test waits for a signal.
const soon = 5 * time.Second

// quietFor is how long no signal may come before a test calls it silence.
const quietFor = 100 * time.Millisecond

// waitUntil receives signals until one finds the condition true.
func waitUntil(t *testing.T, d *Driver, what string, condition func() bool) {
	t.Helper()
	late := time.NewTimer(soon)
	defer late.Stop()
	for {
		select {
		case <-d.Changed():
			if condition() {
				return
			}
		case <-late.C:
			t.Fatalf("no signal within %v of: %s", soon, what)
		}
	}
}

// waitQuiet receives signals until none has come for quietFor, and reports
// whether there was one.
func waitQuiet(t *testing.T, d *Driver) (signalled bool) {
	t.Helper()
	for {
		select {
		case <-d.Changed():
			signalled = true
		case <-time.After(quietFor):
			return signalled
		}
	}
}

func TestLostCarrierIsToldAndSignalled(t *testing.T) {
	r := newRouter(t)
	r.sysctl("ipv4/conf/all/ignore_routes_with_linkdown", "1")
	d := r.open(defaults, vip4, vip6)
	mustApply(t, d,
		steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")},
		steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip6}, To: hops(t, "2001:db8:1::11")})
	waitQuiet(t, d)
	told := func(want string) func() bool {
		return func() bool { return strings.Join(lines(t, d), "\n") == want }
	}
	up := "203.0.113.32/27 via 192.0.2.11 | proto 82 metric 0 dev lan0\n" +
		"2001:db8:64::/64 via 2001:db8:1::11 | proto 82 metric 1024 dev lan0"

	r.run(r.wires, "ip link set lan0 down")
	waitUntil(t, d, "the far end of lan0 going down", told(
		"203.0.113.32/27 via 192.0.2.11 | proto 82 metric 0 dev lan0 linkdown dead\n"+
			"2001:db8:64::/64 via 2001:db8:1::11 | proto 82 metric 1024 dev lan0 linkdown"))
	r.run(r.wires, "ip link set lan0 up")
	waitUntil(t, d, "the far end of lan0 coming up", told(up))

	r.ip("link set lan0 down")
	waitUntil(t, d, "lan0 going down, which takes the routes away", told(""))
	_, err := d.Apply(t.Context(), []steer.Change{{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")}})
	if err == nil {
		t.Error("a route over a link that is down was taken")
	}
	r.ip("link set lan0 up")
	waitUntil(t, d, "lan0 coming up", func() bool {
		n, _ := d.Apply(t.Context(), []steer.Change{{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")}})
		return n == 1
	})
}

func TestOnlyALinkOfOurRoutesShakesThem(t *testing.T) {
	r := newRouter(t)
	d := r.open(defaults, vip4)
	mustApply(t, d, steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")})
	lines(t, d) // a look, which sees the link
	waitQuiet(t, d)
	for _, c := range []struct {
		what, command string
		shaken        bool
	}{
		{"another link goes down", "link set lan1 down", false},
		{"another link comes up", "link set lan1 up", false},
		{"a route is deleted", "route del 203.0.113.32/27", false},
		{"an address is added", "address add 192.0.2.2/24 dev lan0", false},
		{"an address goes", "address del 192.0.2.2/24 dev lan0", true},
		{"the link goes down", "link set lan0 down", true},
		{"the link comes up", "link set lan0 up", false},
		{"the link goes", "link del lan0", true},
	} {
		r.ip("%s", c.command)
		waitQuiet(t, d)
		lines(t, d)
		if got := d.Shaken(); got != c.shaken {
			t.Errorf("%s: shaken %t, want %t", c.what, got, c.shaken)
		}
	}
}

func TestRoutesOfNoConcernWakeNobody(t *testing.T) {
	r := newRouter(t)
	d := r.open(defaults, vip4)
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 proto 82")
	waitUntil(t, d, "a route of ours", func() bool { return len(lines(t, d)) == 1 })
	waitQuiet(t, d)
	r.ip("route add 203.0.113.64/27 via 192.0.2.11")
	r.ip("route add 203.0.113.32/28 via 192.0.2.11")
	r.ip("route add 203.0.113.32/27 via 192.0.2.11 table 99")
	r.ip("-6 route add 2001:db8:64::/64 via 2001:db8:1::11")
	select {
	case <-d.Changed():
		t.Error("routes that are not of our prefixes, or not in our table, gave a signal")
	case <-time.After(quietFor):
	}
}

func TestOverrunOfTheNewsStillSignals(t *testing.T) {
	r := newRouter(t)
	d, err := open(inNamespace(r.kernel.Fd()), defaults, lone(vip4), quiet(), 1) // the kernel's least: 2 KiB
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	for round := range 3 {
		var flood strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&flood, "route replace 10.%s/32 via 192.0.2.%d\n", octets(i), 20+round)
		}
		fmt.Fprintf(&flood, "route replace 203.0.113.32/27 via 192.0.2.%d proto 82\n", 11+round)
		r.batch(flood.String())
		want := fmt.Sprintf("203.0.113.32/27 via 192.0.2.%d | proto 82 metric 0 dev lan0", 11+round)
		waitUntil(t, d, "a flood of changes", func() bool { return strings.Join(lines(t, d), "\n") == want })
	}
}

func TestCloseEndsTheWatchWhileNewsCome(t *testing.T) {
	r := newRouter(t)
	for range 20 {
		d, err := OpenAt(r.kernel.Fd(), defaults, lone(vip4), quiet())
		if err != nil {
			t.Fatal(err)
		}
		mustApply(t, d, steer.Change{Op: steer.Add, Prefixes: []netip.Prefix{vip4}, To: hops(t, "192.0.2.11")},
			steer.Change{Op: steer.Remove, Prefixes: []netip.Prefix{vip4}})
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
