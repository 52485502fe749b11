package lab

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
)

// TestWhatPeopleAskForLosesNothing pins, drains and returns VIPs under load, of which
// all of a server share their verdicts and, on the router, one nexthop object: what
// is asked of one must leave it, and come back, without a moment without a route.
func TestWhatPeopleAskForLosesNothing(t *testing.T) {
	l := start(t, steered(Options{Base: shortDir(t), VIPs: 8}))
	ctx := t.Context()
	if err := l.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(l.Paths.Site)
	if err != nil {
		t.Fatal(err)
	}
	shared := strings.Replace(string(text), "web: {http:", "web: {through: address, http:", 1)
	shared = strings.ReplaceAll(shared, "primary: web1}", "primary: web1, backup: web2}") // no choice: one cohort
	if err := os.WriteFile(l.Paths.Site, []byte(shared), 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(what string, wish func(context.Context) (*api.Moved, error)) {
		t.Helper()
		moved, err := wish(ctx)
		if err != nil || !moved.Confirmed {
			t.Fatalf("%s: %+v, %v", what, moved, err)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Operator.Reload(ctx, api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	status, err := l.Operator.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	vip, other := l.Site.VIPs[0], l.Site.VIPs[4]
	if moves := status.VIPs[4].MovesAs; moves != vip.Prefix.String() {
		t.Fatalf("%s moves as %q: the test needs them in one cohort", other.Prefix, moves)
	}
	got := measure(t, l, rates(), 300*time.Millisecond, func() {
		name := vip.Prefix.String()
		do("pin", func(ctx context.Context) (*api.Moved, error) {
			return l.Operator.Pin(ctx, api.PinRequest{VIP: name, Server: "web2"})
		})
		do("drain the other of one server", func(ctx context.Context) (*api.Moved, error) {
			return l.Operator.Drain(ctx, api.DrainRequest{Servers: []string{"web1"}, VIPs: []string{other.Prefix.String()}})
		})
		do("unpin", func(ctx context.Context) (*api.Moved, error) {
			return l.Operator.Unpin(ctx, api.UnpinRequest{VIP: name})
		})
		do("failback", func(ctx context.Context) (*api.Moved, error) { return l.Operator.Failback(ctx, api.FailbackRequest{}) })
		do("undrain", func(ctx context.Context) (*api.Moved, error) {
			return l.Operator.Undrain(ctx, api.UndrainRequest{Servers: []string{"web1"}, VIPs: []string{other.Prefix.String()}})
		})
		do("drain two at once", func(ctx context.Context) (*api.Moved, error) {
			return l.Operator.Drain(ctx, api.DrainRequest{Servers: []string{"web3", "web4"}})
		})
	})
	if got.Lost > 0 || got.Failed > 0 {
		t.Errorf("lost: %s", got)
	}
	for _, vip := range []VIP{vip, other} {
		if at, err := l.where(ctx, vip); err != nil || at != "web1" {
			t.Errorf("at the end %s is at %s, %v; want web1", vip.Prefix, at, err)
		}
	}
}
