package linux

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

var (
	drainVIP    = netip.MustParsePrefix("203.0.113.32/27")
	drainPolicy = topology.Drain{Timeout: time.Minute, Idle: time.Second, UDP: topology.UDPNew}
)

func viaLAN(last byte) []steer.NextHop {
	return []steer.NextHop{{Address: netip.AddrFrom4([4]byte{192, 0, 2, last}), Weight: 1}}
}

// keeping is a driver that keeps connections, with a route to 192.0.2.11.
func keeping(t *testing.T, cfg topology.Linux) (*router, *Driver) {
	t.Helper()
	r := newRouter(t)
	d := r.open(cfg, drainVIP)
	d.KeepFlows(r.kernel.Fd(), drainPolicy)
	if n, err := d.Apply(t.Context(), []steer.Change{{Op: steer.Add, Prefixes: []netip.Prefix{drainVIP}, To: viaLAN(11)}}); n != 1 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	return r, d
}

func move(from, to byte, graceful bool) []steer.Change {
	return []steer.Change{{Op: steer.Replace, Prefixes: []netip.Prefix{drainVIP}, From: viaLAN(from), To: viaLAN(to), Graceful: graceful}}
}

func flowsConfig(limit int) topology.Linux {
	cfg := defaults
	cfg.FlowLimit = limit
	return cfg
}

func TestAGracefulChangeBeginsATransitionAndNoOtherDoes(t *testing.T) {
	r, d := keeping(t, flowsConfig(1000))
	if n, err := d.Apply(t.Context(), move(11, 12, false)); n != 1 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	if rules := r.run(r.kernel, "nft list ruleset"); rules != "" {
		t.Errorf("a move for a failure loads nftables:\n%s", rules)
	}
	if n, err := d.Apply(t.Context(), move(12, 13, true)); n != 1 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	all, err := d.Transitions(t.Context())
	if err != nil || len(all) != 1 || all[0].Prefix != drainVIP || all[0].From[0] != viaLAN(12)[0] || all[0].To[0] != viaLAN(13)[0] {
		t.Errorf("transitions: %v, %v", all, err)
	}
	if d.Cuts() != nil {
		t.Error(d.Cuts())
	}
	// A failure sends new connections elsewhere, and does not end the transition.
	if n, err := d.Apply(t.Context(), move(13, 14, false)); n != 1 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	if all, err = d.Transitions(t.Context()); err != nil || len(all) != 1 || all[0].To[0] != viaLAN(14)[0] {
		t.Errorf("transitions: %v, %v", all, err)
	}
	if err := d.End(t.Context(), []netip.Prefix{drainVIP}); err != nil {
		t.Fatal(err)
	}
	if rules := r.run(r.kernel, "nft list ruleset"); rules != "" {
		t.Errorf("nftables are left:\n%s", rules)
	}
}

func TestAChangeThatIsRefusedBeginsNoTransition(t *testing.T) {
	r, d := keeping(t, flowsConfig(1000))
	r.ip("route del %s", drainVIP)
	r.ip("route add %s via 192.0.2.99 proto static", drainVIP)
	if n, err := d.Apply(t.Context(), move(11, 12, true)); n != 0 || err == nil {
		t.Fatalf("%d changes, %v; want a refusal", n, err)
	}
	if rules := r.run(r.kernel, "nft list ruleset"); rules != "" {
		t.Errorf("nftables are loaded for a route that is not ours:\n%s", rules)
	}
}

func TestAMoveGoesOnWhereConnectionsCannotBeKept(t *testing.T) {
	r, d := keeping(t, flowsConfig(1000))
	r.ip("rule add priority 100 fwmark 0x5253f000/0xff000000 lookup main")
	if n, err := d.Apply(t.Context(), move(11, 12, true)); n != 1 || err != nil {
		t.Fatalf("%d changes, %v; want the move made all the same", n, err)
	}
	if d.Cuts() == nil || !strings.Contains(d.Cuts().Error(), "policy rule") {
		t.Errorf("the driver says %v; want what was in the way", d.Cuts())
	}
	r.ip("rule del priority 100")
	if n, err := d.Apply(t.Context(), move(12, 13, true)); n != 1 || err != nil || d.Cuts() != nil {
		t.Fatalf("%d changes, %v, %v; want connections kept again", n, err, d.Cuts())
	}
}

func TestFlowLimitZeroKeepsNothing(t *testing.T) {
	r, d := keeping(t, flowsConfig(0))
	if n, err := d.Apply(t.Context(), move(11, 12, true)); n != 1 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	if rules := r.run(r.kernel, "nft list ruleset"); rules != "" || d.Cuts() == nil {
		t.Errorf("cuts: %v, nftables:\n%s", d.Cuts(), rules)
	}
}

func TestAWithdrawalEndsTheTransition(t *testing.T) {
	r, d := keeping(t, flowsConfig(1000))
	if n, err := d.Apply(t.Context(), move(11, 12, true)); n != 1 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	if n, err := d.Apply(t.Context(), []steer.Change{{Op: steer.Remove, Prefixes: []netip.Prefix{drainVIP}, From: viaLAN(12)}}); n != 1 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	if rules := r.run(r.kernel, "nft list ruleset"); rules != "" {
		t.Errorf("a prefix without a route still has connections directed:\n%s", rules)
	}
}

func TestWithoutAFlowLimitAPredecessorsTransitionsEnd(t *testing.T) {
	r, d := keeping(t, flowsConfig(1000))
	if n, err := d.Apply(t.Context(), move(11, 12, true)); n != 1 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	r.open(flowsConfig(0), drainVIP).KeepFlows(r.kernel.Fd(), drainPolicy)
	if rules := r.run(r.kernel, "nft list ruleset"); rules != "" {
		t.Errorf("nobody looks after this any more:\n%s", rules)
	}
}
