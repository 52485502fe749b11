package steer_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
	"pgregory.net/rapid"
)

// recalled lets traffic return to servers at a time.
func recalled(at time.Time, names ...topology.ServerName) steer.Recall {
	var r steer.Recall
	for _, name := range names {
		r.Add(steer.Place{Server: name}, at)
	}
	return r
}

// fallen is a target that went from up to down at a time.
func fallen(at time.Time) health.State {
	return health.State{Verdict: health.Down, Since: at, Fell: at, Why: "timeout"}
}

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func TestARecallLastsUntilTheServerWasWellOnce(t *testing.T) {
	shop := netip.MustParsePrefix("203.0.113.32/27")
	for name, c := range map[string]struct {
		word  steer.Place
		at    time.Time
		fell  time.Time // of web1; it has been up for a second
		comes bool
	}{
		"web1 was down when it was undrained":           {steer.Place{Server: "web1"}, ago(10 * time.Minute), ago(time.Hour), true},
		"web1 was never seen to fall":                   {steer.Place{Server: "web1"}, ago(10 * time.Minute), time.Time{}, true},
		"web1 failed the proof of its undrain":          {steer.Place{Server: "web1"}, ago(10 * time.Minute), ago(10 * time.Minute), true},
		"web1 was well meanwhile, and fell again":       {steer.Place{Server: "web1"}, ago(10 * time.Minute), ago(9 * time.Minute), false},
		"the word is an hour old":                       {steer.Place{Server: "web1"}, ago(time.Hour), ago(2 * time.Hour), false},
		"the word was of another server":                {steer.Place{Server: "web2"}, ago(10 * time.Minute), ago(time.Hour), false},
		"the VIP was unpinned":                          {steer.Place{VIP: shop}, ago(10 * time.Minute), ago(time.Hour), true},
		"another VIP was unpinned":                      {steer.Place{VIP: netip.MustParsePrefix("203.0.113.64/27")}, ago(10 * time.Minute), ago(time.Hour), false},
		"web1 was undrained of the VIP":                 {steer.Place{Server: "web1", VIP: shop}, ago(10 * time.Minute), ago(time.Hour), true},
		"another server was undrained of the VIP":       {steer.Place{Server: "web2", VIP: shop}, ago(10 * time.Minute), ago(time.Hour), false},
		"all traffic was to return, whoever carries it": {steer.Place{}, ago(10 * time.Minute), ago(time.Hour), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := site(t, article+"policy: {failback: manual}\n")
			b, _ := believe(t, s, "")
			b.states[health.Target{Server: "web1", VIP: shop}] = health.State{Verdict: health.Up, Since: ago(time.Second), Fell: c.fell}
			in := steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Health: b, Previous: routed(s, "web2 web2 web3 web4"), Now: noon}
			in.Recalled.Add(c.word, c.at)
			want := []topology.ServerName{"web2"}
			if c.comes {
				want = []topology.ServerName{"web1"}
			}
			if awaits := in.Awaits(c.word, c.at); c.comes && !awaits {
				t.Errorf("before the decision, nothing is awaited")
			}
			in.Previous = steer.Desired(in)
			if got := in.Previous.Of(shop); !slices.Equal(got.Servers, want) {
				t.Errorf("it is at %v: %s", got.Servers, got.Why)
			}
			if in.Awaits(c.word, c.at) && c.comes {
				t.Errorf("the traffic is back, and still awaited")
			}
		})
	}
}

func TestARecallWaitsForHealthAndForNoTimeOfDay(t *testing.T) {
	s := site(t, article+"policy: {failback: {after: 60s, between: 02:00-03:00}}\n")
	shop := s.VIPs[0].Prefix
	b, _ := believe(t, s, "")
	b.states[health.Target{Server: "web1", VIP: shop}] = health.State{Verdict: health.Up, Since: ago(20 * time.Second), Fell: ago(time.Hour)}
	in := steer.Input{Site: s, Health: b, Previous: routed(s, "web2 web2 web3 web4"), Now: noon}
	in.Recalled = recalled(ago(10*time.Minute), "web1")
	got := steer.Desired(in).Of(shop)
	if due := noon.Add(40 * time.Second); !got.Next.Equal(due) || got.Why != "web1 is back, and gets its traffic once it has been healthy for 1m0s" {
		t.Errorf("it is decided again at %s, want %s: %s", got.Next, due, got.Why)
	}
}

// TestByHandTrafficReturnsByAWordThatCounts holds that with manual and never a VIP goes
// to somebody better exactly if an operator let it, not an hour ago, and whoever
// it goes to has not fallen since.
func TestByHandTrafficReturnsByAWordThatCounts(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, _ steer.Assignment) {
		place := steer.Place{Server: rapid.SampledFrom(append([]topology.Server{{}}, in.Site.Servers...)).Draw(t, "to").Name}
		if rapid.Bool().Draw(t, "one VIP") {
			place.VIP = rapid.SampledFrom(in.Site.VIPs).Draw(t, "of").Entry
		}
		at := ago(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ago")) * time.Second)
		in.Recalled.Add(place, at)
		want := steer.Desired(in)
		for _, vip := range in.Cohorts.All() {
			was, is := in.Previous.For(vip).Servers, want.For(vip)
			if vip.Mode != topology.Single || len(was) != 1 || !in.Holds(was[0], vip) || is.Cause != steer.Returned {
				continue
			}
			if vip.Failback.Mode != topology.FailbackManual && vip.Failback.Mode != topology.FailbackNever {
				continue
			}
			to := is.Servers[0]
			fell := in.Health.State(health.Target{Server: to, VIP: vip.Judge}).Fell
			meant := (place.Server == "" || place.Server == to) && (!place.VIP.IsValid() || in.Cohorts.Of(place.VIP) == vip)
			if !meant || noon.Sub(at) >= steer.RecallLasts || fell.After(at) {
				t.Fatalf("%s returned to %s, which fell at %s, by a word of %s for %v", vip.Prefix, to, fell, at, place)
			}
		}
	})
}

func TestResumeCountsForLossesFoundAnew(t *testing.T) {
	s := site(t, article)
	b, _ := believe(t, s, "")
	in := steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Health: b, Previous: routed(s, "web1 web1 web3 web4"), Now: noon}
	for _, server := range []topology.ServerName{"web1", "web2", "web3"} {
		for _, vip := range s.VIPs {
			b.states[health.Target{Server: server, VIP: vip.Prefix}] = health.State{Verdict: health.Down, Since: ago(time.Second), Why: "timeout"}
		}
	}
	if in.Frozen() == "" {
		t.Fatal("three of four servers are found down, and nothing is frozen")
	}
	in.Resumed = ago(time.Hour)
	if frozen := in.Frozen(); frozen != "" {
		t.Errorf("an operator said resume before the restart, and it is frozen: %s", frozen)
	}
	if in.Recovered() {
		t.Error("one of four is up, and it counts as recovered")
	}
	for _, vip := range s.VIPs {
		for _, server := range vip.Servers() {
			b.states[health.Target{Server: server, VIP: vip.Prefix}] = fallen(ago(time.Second))
		}
	}
	if in.Frozen() == "" {
		t.Error("they fell after resume, and nothing is frozen")
	}
}
