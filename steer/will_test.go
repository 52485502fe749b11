package steer_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// TestAPinIsObeyed holds that a pinned VIP is at its server whenever that is
// eligible, and by force always; that no other VIP moves for it; and that it keeps
// its place in life: unpinned it belongs where it did.
func TestAPinIsObeyed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, drawSite(t))
		in.Pins = nil
		in.Cohorts = steer.NewCohorts(in.Site, in.Apart()...)
		in.Previous = steer.Desired(in)
		before := in.Previous

		vip := rapid.SampledFrom(in.Site.VIPs).Draw(t, "vip")
		pin := steer.Pin{Server: rapid.SampledFrom(vip.Servers()).Draw(t, "server"), Force: rapid.Bool().Draw(t, "force")}
		in.Pins = map[netip.Prefix]steer.Pin{vip.Entry: pin}
		in.Cohorts = steer.NewCohorts(in.Site, in.Apart()...)
		pinned := steer.Desired(in)
		cohort := in.Cohorts.Of(vip.Prefix)
		if len(cohort.Entries) != 1 {
			t.Fatalf("%d entries are pinned together", len(cohort.Entries))
		}
		if got := pinned.Of(vip.Prefix).Servers; (pin.Force || in.Eligible(pin.Server, cohort)) && !slices.Equal(got, []topology.ServerName{pin.Server}) {
			t.Fatalf("%s is pinned to %s and goes to %v: %s", vip.Prefix, pin.Server, got, pinned.Of(vip.Prefix).Why)
		}
		for _, other := range in.Site.VIPs {
			// What waits for its failback may become due at the server that the load says now.
			waits := before.Of(other.Prefix).Cause == steer.Waiting
			if other.Entry != vip.Entry && !waits && !slices.Equal(pinned.Of(other.Prefix).Servers, before.Of(other.Prefix).Servers) {
				t.Fatalf("%s goes from %v to %v because %s is pinned", other.Prefix, before.Of(other.Prefix).Servers, pinned.Of(other.Prefix).Servers, vip.Prefix)
			}
		}
	})
}

// TestAGuardHoldsBackFailuresOnly holds that whatever is frozen stays where it was,
// and that no guard keeps traffic at a server that people took out of service.
func TestAGuardHoldsBackFailuresOnly(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Cohorts.All() {
			was, w := in.Previous.Of(vip.Prefix).Servers, want.Of(vip.Prefix)
			if !w.Frozen && w.Cause != steer.Unproven {
				continue
			}
			for _, name := range w.Servers { // of an ecmp tier, who is well may join
				if !slices.Contains(was, name) && (vip.Mode == topology.Single || !in.Eligible(name, vip)) {
					t.Fatalf("%s is held back and goes from %v to %v: %s", vip.Prefix, was, w.Servers, w.Why)
				}
			}
			if slices.ContainsFunc(was, func(name topology.ServerName) bool { return !slices.Contains(w.Servers, name) }) {
				t.Fatalf("%s is held back and goes from %v to %v: %s", vip.Prefix, was, w.Servers, w.Why)
			}
			for _, name := range w.Servers {
				if in.Off(name, vip) != "" {
					t.Fatalf("%s is held back at %s, which is %s", vip.Prefix, name, in.Off(name, vip))
				}
			}
		}
	})
}

// TestMostServersLostTogetherMoveNothing holds that of a site whose servers have
// all been lost but a few, within one fall period, no VIP moves to those few.
func TestMostServersLostTogetherMoveNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSite(t)
		s.Policy = topology.Policy{Correlated: topology.Freeze}
		in := drawInput(t, s)
		for i := range s.VIPs {
			s.VIPs[i].Weights = nil
		}
		in.Will, in.Cohorts = steer.Will{}, steer.NewCohorts(s)
		up := beliefs{states: map[health.Target]health.State{}}
		down := beliefs{states: map[health.Target]health.State{}}
		spared := rapid.SampledFrom(s.Servers).Draw(t, "spared").Name
		for _, vip := range in.Cohorts.All() {
			for _, name := range vip.Servers() {
				target := health.Target{Server: name, VIP: vip.Judge}
				up.states[target] = health.State{Verdict: health.Up, Since: noon.Add(-time.Hour)}
				down.states[target] = fallen(noon.Add(-rapidWithin(t, s.FallPeriod())))
				if name == spared {
					down.states[target] = up.states[target]
				}
			}
		}
		in.Health, in.Previous = up, steer.Assignment{}
		in.Previous = steer.Desired(in)
		in.Health = down
		many := func(vip *steer.Cohort) bool {
			return len(vip.Servers()) >= 4 || len(vip.Servers()) == 3 && !slices.Contains(vip.Servers(), spared)
		}
		hit, all := 0, 0
		for _, vip := range in.Cohorts.All() {
			all += len(vip.Entries)
			if many(vip) {
				hit += len(vip.Entries)
			}
		}
		after := steer.Desired(in)
		held := slices.ContainsFunc(in.Cohorts.All(), func(vip *steer.Cohort) bool {
			return anyEligible(in, vip) && !slices.Equal(in.Previous.For(vip).Servers, []topology.ServerName{spared})
		})
		if (2*hit > all && held) != (after.Frozen() != "") {
			t.Fatalf("most servers of %d of %d VIPs are lost, moves are held back: %t, and frozen is %q", hit, all, held, after.Frozen())
		}
		for _, vip := range in.Cohorts.All() {
			was, w := in.Previous.For(vip), after.For(vip)
			if 2*hit > all && anyEligible(in, vip) && !slices.Equal(was.Servers, w.Servers) {
				t.Fatalf("%s goes from %v to %v: %s", vip.Prefix, was.Servers, w.Servers, w.Why)
			}
		}
		in.Resumed = noon
		for _, vip := range in.Cohorts.All() {
			w := steer.Desired(in).For(vip)
			if anyEligible(in, vip) && !slices.Equal(w.Servers, []topology.ServerName{spared}) {
				t.Fatalf("resumed, %s stays with %v: %s", vip.Prefix, w.Servers, w.Why)
			}
		}
	})
}

// TestAWitnessDecides holds that with witnesses no failure moves traffic before one
// was heard after it, and that one that was heard after everything hinders nothing.
func TestAWitnessDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSite(t)
		s.Policy.Witness = []netip.Addr{netip.MustParseAddr("192.0.2.254")}
		in := drawInput(t, s)
		want := steer.Desired(in)
		for _, vip := range in.Cohorts.All() {
			for _, name := range in.Previous.Of(vip.Prefix).Servers {
				state := in.Health.State(health.Target{Server: name, VIP: vip.Judge})
				lost := state.Verdict == health.Down && !slices.ContainsFunc(in.Previous.Of(vip.Prefix).Servers, func(name topology.ServerName) bool { return in.Off(name, vip) != "" })
				w := want.Of(vip.Prefix)
				if lost && w.Cause == steer.Failover && !in.Witness.Heard.After(state.Since) {
					t.Fatalf("%s left %s, down since %s, and the witness was heard at %s", vip.Prefix, name, state.Since, in.Witness.Heard)
				}
			}
		}
		in.Witness = steer.Witness{Heard: noon.Add(time.Hour)}
		heard := steer.Desired(in)
		s.Policy.Witness = nil
		none := steer.Desired(in)
		for _, vip := range in.Cohorts.All() {
			if a, b := heard.Of(vip.Prefix), none.Of(vip.Prefix); !slices.Equal(a.Servers, b.Servers) {
				t.Fatalf("%s goes to %v with a witness that is heard and to %v without: %s", vip.Prefix, a.Servers, b.Servers, a.Why)
			}
		}
	})
}

func rapidWithin(t *rapid.T, d time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(0, int64(d)).Draw(t, "ago"))
}

// TestAnAgentsPercentageIsAShareOfTheWeight: web2 has weight 2 and asks for half.
func TestAnAgentsPercentageIsAShareOfTheWeight(t *testing.T) {
	s := site(t, pool)
	believed, _ := believe(t, s, "")
	hops := func(percent int) string {
		believed.states[health.Target{Server: "web2", VIP: s.VIPs[0].Judge}] = health.State{Verdict: health.Up, Word: health.Word{Percent: percent}}
		return steer.FormatNextHops(steer.Desired(steer.Input{Site: s, Health: believed, Now: noon}).Of(s.VIPs[0].Prefix).NextHops)
	}
	for percent, want := range map[int]string{
		0:   "192.0.2.11 weight 1, 192.0.2.12 weight 2", // it has not said
		100: "192.0.2.11 weight 1, 192.0.2.12 weight 2",
		50:  "192.0.2.11, 192.0.2.12",
		1:   "192.0.2.11, 192.0.2.12", // a route knows no smaller share than 1
	} {
		if got := hops(percent); got != want {
			t.Errorf("%d%%: %s, want %s", percent, got, want)
		}
	}
}

// TestWhatRestsIsDecidedAsIfItWereLookedAt compares decisions that follow each other
// with the same ones made without the memory of what rested.
func TestWhatRestsIsDecidedAsIfItWereLookedAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, drawSite(t))
		other := drawInput(t, in.Site)
		in.Previous = steer.Desired(in)
		in.Health, in.Now = other.Health, in.Now.Add(time.Second)
		for _, server := range in.Site.Servers {
			if rapid.IntRange(0, 3).Draw(t, "lost") == 0 {
				in.Health.(beliefs).lost[server.Addresses[0]] = true
			}
		}
		quick := steer.Desired(in)
		anew := in
		anew.Previous = steer.Assign(steer.NewCohorts(in.Site, in.Apart()...), in.Previous.For)
		slow := steer.Desired(anew)
		for _, vip := range in.Site.VIPs {
			if a, b := quick.Of(vip.Prefix), slow.Of(vip.Prefix); !reflect.DeepEqual(a, b) {
				t.Fatalf("%s: quickly\n%+v\nand slowly\n%+v", vip.Prefix, a, b)
			}
		}
	})
}
