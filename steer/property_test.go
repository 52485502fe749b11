package steer_test

import (
	"fmt"
	"maps"
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

// drawSite draws a site of up to 8 servers and 24 VIPs, as Parse would give it.
func drawSite(t *rapid.T) *topology.Site {
	s := &topology.Site{File: "drawn"}
	for i := range rapid.IntRange(1, 8).Draw(t, "servers") {
		s.Servers = append(s.Servers, topology.Server{
			Name:      topology.ServerName(fmt.Sprintf("web%d", i+1)),
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})},
			Weight:    rapid.IntRange(1, 4).Draw(t, "weight"),
		})
	}
	for i := range rapid.IntRange(1, 24).Draw(t, "vips") {
		s.VIPs = append(s.VIPs, drawVIP(t, s, i))
	}
	s.Policy.MaxUnavailable.Count = rapid.SampledFrom([]int{0, 0, 1, 2, 4}).Draw(t, "max_unavailable")
	return s
}

func drawVIP(t *rapid.T, s *topology.Site, i int) topology.VIP {
	vip := topology.VIP{
		Prefix:    netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32),
		Mode:      rapid.SampledFrom([]topology.Mode{topology.Single, topology.ECMP}).Draw(t, "mode"),
		OnAllDown: rapid.SampledFrom([]topology.OnAllDown{topology.Keep, topology.Withdraw}).Draw(t, "on_all_down"),
		Failback: topology.Failback{
			Mode:  rapid.SampledFrom([]topology.FailbackMode{topology.FailbackAfter, topology.FailbackImmediate, topology.FailbackManual, topology.FailbackNever}).Draw(t, "failback"),
			After: time.Minute,
		},
	}
	tiers := make([][]topology.ServerName, 3)
	for _, server := range s.Servers {
		if tier := rapid.IntRange(0, 3).Draw(t, "tier"); tier < 3 {
			tiers[tier] = append(tiers[tier], server.Name)
		}
	}
	for i, servers := range tiers {
		if len(servers) > 0 {
			vip.Tiers = append(vip.Tiers, topology.Tier{Name: fmt.Sprintf("tier%d", i), Servers: servers})
		}
	}
	if len(vip.Tiers) == 0 {
		vip.Tiers = []topology.Tier{{Name: "primary", Servers: []topology.ServerName{s.Servers[0].Name}}}
	}
	return vip
}

// drawInput draws what is known at some moment, and what was wanted before.
func drawInput(t *rapid.T, s *topology.Site) steer.Input {
	b := beliefs{states: map[health.Target]health.State{}, lost: map[netip.Addr]bool{}}
	in := steer.Input{Site: s, Health: b, Drained: map[topology.ServerName]bool{}, Previous: steer.Assignment{}, Now: noon}
	for _, server := range s.Servers {
		in.Drained[server.Name] = rapid.IntRange(0, 4).Draw(t, "drained") == 0
	}
	for _, vip := range s.VIPs {
		all := vip.Servers()
		for _, name := range all {
			state := health.State{Verdict: rapid.SampledFrom([]health.Verdict{health.Up, health.Up, health.Down, health.Unknown}).Draw(t, "verdict")}
			if state.Verdict != health.Unknown {
				state.Since = noon.Add(-time.Duration(rapid.IntRange(0, 120).Draw(t, "since")) * time.Second)
			}
			b.states[health.Target{Server: name, VIP: vip.Prefix}] = state
		}
		if was := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, min(2, len(all)), rapid.ID).Draw(t, "was"); len(was) > 0 {
			slices.Sort(was)
			in.Previous[vip.Prefix] = steer.Want{Servers: was, Since: noon.Add(-time.Hour)}
		}
	}
	return in
}

func verdict(in steer.Input, name topology.ServerName, vip topology.VIP) health.Verdict {
	return in.Health.State(health.Target{Server: name, VIP: vip.Prefix}).Verdict
}

func anyEligible(in steer.Input, vip topology.VIP) bool {
	return slices.ContainsFunc(vip.Servers(), func(name topology.ServerName) bool { return in.Eligible(name, vip) })
}

func check(t *testing.T, property func(t *rapid.T, in steer.Input, want steer.Assignment)) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, drawSite(t))
		property(t, in, steer.Desired(in))
	})
}

func TestSameInputSameOutput(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		before := maps.Clone(in.Previous)
		if again := steer.Desired(in); !reflect.DeepEqual(again, want) {
			t.Fatalf("the second time it says\n%s\nand the first\n%s", describe(in.Site, again), describe(in.Site, want))
		}
		if !reflect.DeepEqual(before, in.Previous) {
			t.Fatal("it changed its input")
		}
	})
}

func TestDecidingAgainMovesNothing(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		in.Previous = want
		again := steer.Desired(in)
		for _, vip := range in.Site.VIPs {
			if !slices.Equal(again[vip.Prefix].Servers, want[vip.Prefix].Servers) || again[vip.Prefix].Withdraw != want[vip.Prefix].Withdraw {
				t.Fatalf("%s moved again\nfirst:\n%s\nthen:\n%s", vip.Prefix, describe(in.Site, want), describe(in.Site, again))
			}
		}
	})
}

func TestTrafficGoesOnlyToWhoIsEligibleOrHasIt(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Site.VIPs {
			for _, name := range want[vip.Prefix].Servers {
				if !in.Eligible(name, vip) && !slices.Contains(in.Previous[vip.Prefix].Servers, name) {
					t.Fatalf("%s goes to %s, which is %s and did not have it", vip.Prefix, name, verdict(in, name, vip))
				}
			}
		}
	})
}

func TestALostServerIsLeftWhenSomebodyIsEligible(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Site.VIPs {
			w := want[vip.Prefix]
			if w.Frozen || !anyEligible(in, vip) {
				continue
			}
			for _, name := range w.Servers {
				if verdict(in, name, vip) == health.Down || in.Drained[name] {
					t.Fatalf("%s stays with %s (%s, drained %t) though others are eligible: %s", vip.Prefix, name, verdict(in, name, vip), in.Drained[name], w.Why)
				}
			}
		}
	})
}

func TestNobodyLosesItsRouteUnlessTheFileSaysWithdraw(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Site.VIPs {
			w := want[vip.Prefix]
			if len(in.Previous[vip.Prefix].Servers) == 0 || len(w.Servers) > 0 {
				continue
			}
			if !w.Withdraw || vip.OnAllDown != topology.Withdraw || anyEligible(in, vip) {
				t.Fatalf("%s lost its route: %+v", vip.Prefix, w)
			}
			for _, name := range vip.Servers() {
				if verdict(in, name, vip) == health.Unknown && !in.Drained[name] {
					t.Fatalf("%s was withdrawn although nothing is known of %s", vip.Prefix, name)
				}
			}
		}
	})
}

func TestTrafficLeavesAHealthyServerOnlyByFailback(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Site.VIPs {
			was, w := in.Previous[vip.Prefix].Servers, want[vip.Prefix]
			if len(was) != 1 || in.Drained[was[0]] || verdict(in, was[0], vip) == health.Down || slices.Contains(w.Servers, was[0]) {
				continue
			}
			if vip.Failback.Mode == topology.FailbackManual || vip.Failback.Mode == topology.FailbackNever {
				t.Fatalf("%s left %s, which is %s, with failback %s", vip.Prefix, was[0], verdict(in, was[0], vip), vip.Failback.Mode)
			}
			for _, name := range w.Servers {
				since := in.Health.State(health.Target{Server: name, VIP: vip.Prefix}).Since
				if vip.Failback.Mode == topology.FailbackAfter && in.Now.Sub(since) < vip.Failback.After {
					t.Fatalf("%s went back to %s, healthy for %s only", vip.Prefix, name, in.Now.Sub(since))
				}
			}
		}
	})
}

func TestUnknownMovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, drawSite(t))
		in.Health, in.Drained = beliefs{}, nil
		want := steer.Desired(in)
		for _, vip := range in.Site.VIPs {
			was := in.Previous[vip.Prefix].Servers
			if vip.Mode == topology.Single && len(was) > 1 {
				continue // routes that we did not make: one of the servers is kept
			}
			for _, name := range want[vip.Prefix].Servers {
				if !slices.Contains(was, name) {
					t.Fatalf("%s went from %v to %v while nothing is known", vip.Prefix, was, want[vip.Prefix].Servers)
				}
			}
		}
	})
}

// TestOrphansSpread loses one server of a site where any server can take any
// VIP: only its VIPs move, no survivor gets much more than its share, and all
// return when it does.
func TestOrphansSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &topology.Site{}
		for i := range rapid.IntRange(2, 12).Draw(t, "servers") {
			s.Servers = append(s.Servers, topology.Server{
				Name: topology.ServerName(fmt.Sprintf("web%02d", i)), Weight: rapid.IntRange(1, 4).Draw(t, "weight"),
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})},
			})
		}
		var all []topology.ServerName
		for _, server := range s.Servers {
			all = append(all, server.Name)
		}
		for i := range rapid.IntRange(1, 300).Draw(t, "vips") {
			s.VIPs = append(s.VIPs, topology.VIP{
				Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 32), Mode: topology.Single,
				Tiers: []topology.Tier{{Name: "primary", Servers: all}}, Failback: topology.Failback{Mode: topology.FailbackImmediate},
			})
		}
		b := beliefs{states: map[health.Target]health.State{}}
		set := func(name topology.ServerName, verdict health.Verdict) {
			for _, vip := range s.VIPs {
				b.states[health.Target{Server: name, VIP: vip.Prefix}] = health.State{Verdict: verdict, Since: noon}
			}
		}
		for _, name := range all {
			set(name, health.Up)
		}
		in := steer.Input{Site: s, Health: b, Now: noon}
		well := steer.Desired(in)
		bounded(t, s, well, "")

		gone := rapid.SampledFrom(all).Draw(t, "gone")
		set(gone, health.Down)
		in.Previous = well
		without := steer.Desired(in)
		bounded(t, s, without, gone)
		for _, vip := range s.VIPs {
			was := well[vip.Prefix].Servers[0]
			if now := without[vip.Prefix].Servers[0]; was != gone && now != was {
				t.Fatalf("%s moved from %s to %s when %s was lost", vip.Prefix, was, now, gone)
			}
		}

		set(gone, health.Up)
		in.Previous = without
		back := steer.Desired(in)
		for _, vip := range s.VIPs {
			if !slices.Equal(back[vip.Prefix].Servers, well[vip.Prefix].Servers) {
				t.Fatalf("%s is with %v after %s came back, and was with %v before", vip.Prefix, back[vip.Prefix].Servers, gone, well[vip.Prefix].Servers)
			}
		}
	})
}

// bounded fails if a server has more than 1.25 times its share, and one.
func bounded(t *rapid.T, s *topology.Site, a steer.Assignment, gone topology.ServerName) {
	count, total := map[topology.ServerName]int{}, 0
	for _, server := range s.Servers {
		if server.Name != gone {
			total += server.Weight
		}
	}
	for _, want := range a {
		count[want.Servers[0]]++
	}
	for _, server := range s.Servers {
		most := 1.25*float64(len(s.VIPs)*server.Weight)/float64(total) + 1
		if server.Name != gone && float64(count[server.Name]) > most {
			t.Fatalf("%s carries %d VIPs, more than %.1f", server.Name, count[server.Name], most)
		}
	}
}

func TestApplyingADiffLeavesNothingToDo(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		in.Previous = nil
		var have []steer.Route
		for prefix, w := range steer.Desired(in) {
			if len(w.NextHops) > 0 && rapid.Bool().Draw(t, "has") {
				have = append(have, steer.Route{Prefix: prefix, NextHops: w.NextHops, Stray: rapid.Bool().Draw(t, "stray")})
			}
		}
		table := map[netip.Prefix]steer.Route{}
		for _, route := range have {
			table[route.Prefix] = route
		}
		for _, change := range steer.Diff(want, have, false).Changes {
			if change.Op == steer.Remove {
				delete(table, change.Prefixes[0])
			} else {
				table[change.Prefixes[0]] = steer.Route{Prefix: change.Prefixes[0], NextHops: change.To}
			}
		}
		if left := steer.Diff(want, slices.Collect(maps.Values(table)), false); len(left.Changes) > 0 {
			t.Fatalf("still to do: %v", left.Changes)
		}
	})
}
