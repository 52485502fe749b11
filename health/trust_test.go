package health_test

import (
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// TestUpAtIsWhenPassesBringItUp flaps a target, and lets its checks pass at the
// times that its paces give them: it is up when it was said, and not sooner.
func TestUpAtIsWhenPassesBringItUp(t *testing.T) {
	check := topology.Check{Name: "web", Interval: time.Second, FastInterval: 200 * time.Millisecond, Rise: 2, Fall: 1}
	for flaps := range 4 {
		at, site := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), trustSite(check)
		target := health.Target{Server: "web1", VIP: site.VIPs[0].Prefix}
		b := health.NewBoard(site)
		tell := func(failure string) { b.Observe(health.Result{Target: target, Started: at, Failure: failure}) }
		for range flaps + 1 {
			for b.State(target).Verdict != health.Up {
				tell("")
			}
			tell("refused")
		}
		if got, want := b.State(target).Damping(check), 1<<flaps; got != want {
			t.Errorf("after %d flaps it is damped %d times, want %d", flaps, got, want)
		}
		said := b.State(target).UpAt(check)
		for at = at.Add(check.Interval); b.State(target).Verdict != health.Up; at = at.Add(check.FastInterval) {
			if again := b.State(target).UpAt(check); !again.Equal(said) {
				t.Fatalf("after %d flaps it was to be up at %s, and now at %s", flaps, said, again)
			}
			tell("")
		}
		if since := b.State(target).Since; !since.Equal(said) {
			t.Errorf("after %d flaps it is up at %s, and was to be at %s", flaps, since, said)
		}
		if !b.State(target).UpAt(check).IsZero() {
			t.Error("one that is up is said to be up some time")
		}
	}
}

func trustSite(check topology.Check) *topology.Site {
	site, err := topology.Parse("site.yaml", []byte("servers: {web1: 192.0.2.11}\nvips: [203.0.113.32/27]\nrouters: {edge: {linux: {}}}\n"))
	if err != nil {
		panic(err)
	}
	site.Checks = []topology.Check{check}
	site.VIPs[0].Check = check.Name
	return site
}
