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

// drawSite draws a site of up to 8 servers and 24 entries of VIPs, as Parse
// would give it: some of several prefixes, some that share their verdicts.
func drawSite(t *rapid.T) *topology.Site {
	s := &topology.Site{File: "drawn"}
	for i := range rapid.IntRange(1, 8).Draw(t, "servers") {
		s.Servers = append(s.Servers, topology.Server{
			Name:      topology.ServerName(fmt.Sprintf("web%d", i+1)),
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})},
			Weight:    rapid.IntRange(1, 4).Draw(t, "weight"),
		})
	}
	s.Checks = []topology.Check{{Name: "address", Through: topology.ThroughAddress}, {Name: "vip", Through: topology.ThroughVIP}}
	for i := range rapid.IntRange(1, 24).Draw(t, "entries") {
		vip := drawVIP(t, s, i)
		if rapid.Bool().Draw(t, "alike") && i > 0 && s.VIPs[0].Check == "address" {
			entry := vip.Prefix
			vip = s.VIPs[0]
			vip.Prefix, vip.Entry = entry, entry
		}
		for j := range rapid.SampledFrom([]int{1, 1, 1, 2, 5}).Draw(t, "prefixes") {
			vip.Prefix = numbered(i, j)
			s.VIPs = append(s.VIPs, vip)
		}
	}
	s.Policy.Correlated = rapid.SampledFrom([]topology.Correlated{topology.Act, topology.Freeze}).Draw(t, "correlated")
	if rapid.IntRange(0, 3).Draw(t, "witnessed") == 0 {
		s.Policy.Witness = []netip.Addr{netip.MustParseAddr("192.0.2.254")}
	}
	s.Policy.MaxUnavailable.Count = rapid.SampledFrom([]int{0, 0, 1, 2, 4}).Draw(t, "max_unavailable")
	return s
}

// numbered is the j-th prefix of the i-th entry.
func numbered(i, j int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i), byte(j)}), 32)
}

func drawVIP(t *rapid.T, s *topology.Site, i int) topology.VIP {
	vip := topology.VIP{
		Prefix: numbered(i, 0), Entry: numbered(i, 0), Judge: numbered(i, 0),
		Check:     rapid.SampledFrom([]topology.CheckName{"vip", "address"}).Draw(t, "check"),
		Mode:      rapid.SampledFrom([]topology.Mode{topology.Single, topology.ECMP}).Draw(t, "mode"),
		OnAllDown: rapid.SampledFrom([]topology.OnAllDown{topology.Keep, topology.Withdraw, topology.FirstTier}).Draw(t, "on_all_down"),
		Failback: topology.Failback{
			Mode:  rapid.SampledFrom([]topology.FailbackMode{topology.FailbackAfter, topology.FailbackImmediate, topology.FailbackManual, topology.FailbackNever}).Draw(t, "failback"),
			After: time.Minute,
		},
	}
	if vip.Failback.Mode == topology.FailbackAfter && rapid.Bool().Draw(t, "hours") {
		from := rapid.SampledFrom([]int{12, 13}).Draw(t, "from") * 60 // it is noon
		vip.Failback.Between = topology.Daily{From: from, To: from + 5, Zone: time.UTC}
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
	if rapid.IntRange(0, 3).Draw(t, "weighted") == 0 {
		name := rapid.SampledFrom(s.Servers).Draw(t, "weighted server").Name
		vip.Weights = map[topology.ServerName]int{name: rapid.IntRange(0, 3).Draw(t, "weight here")}
	}
	if len(vip.Tiers) == 0 {
		vip.Tiers = []topology.Tier{{Name: "primary", Servers: []topology.ServerName{s.Servers[0].Name}}}
	}
	return vip
}

// drawInput draws what is known at some moment, and what was wanted before.
func drawInput(t *rapid.T, s *topology.Site) steer.Input {
	b := beliefs{states: map[health.Target]health.State{}, lost: map[netip.Addr]bool{}}
	in := steer.Input{Site: s, Health: b, Will: drawWill(t, s), Now: noon}
	in.Cohorts = steer.NewCohorts(s, in.Apart()...)
	in.Witness.Heard = noon.Add(-time.Duration(rapid.IntRange(0, 120).Draw(t, "heard")) * time.Second)
	if rapid.Bool().Draw(t, "was silent") {
		in.Witness.Since = in.Witness.Heard
	}
	in.Previous = steer.Assign(in.Cohorts, func(vip *steer.Cohort) steer.Want {
		all := vip.Servers()
		for _, name := range all {
			state := health.State{Verdict: rapid.SampledFrom([]health.Verdict{health.Up, health.Up, health.Down, health.Unknown}).Draw(t, "verdict")}
			state.LastCheck = noon.Add(-time.Duration(rapid.IntRange(0, 5).Draw(t, "checked")) * time.Second)
			if state.Verdict != health.Unknown {
				state.Since = noon.Add(-time.Duration(rapid.IntRange(0, 120).Draw(t, "since")) * time.Second)
			}
			switch fell := rapid.IntRange(0, 4).Draw(t, "fell"); {
			case fell > 0 && state.Verdict == health.Down:
				state.Fell = state.Since
			case fell > 2:
				state.Fell = noon.Add(-time.Duration(rapid.IntRange(120, 7200).Draw(t, "fell before")) * time.Second)
			}
			state.Word.Leave = rapid.IntRange(0, 9).Draw(t, "asks to leave") == 0
			b.states[health.Target{Server: name, VIP: vip.Judge}] = state
		}
		if was := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, min(2, len(all)), rapid.ID).Draw(t, "was"); len(was) > 0 {
			slices.Sort(was)
			return steer.Want{Servers: was, Since: noon.Add(-time.Hour)}
		}
		return steer.Want{Withdraw: rapid.IntRange(0, 2).Draw(t, "was withdrawn") == 0}
	})
	return in
}

// drawWill draws what people ask for: some servers drained, a VIP pinned, a server
// off a VIP.
func drawWill(t *rapid.T, s *topology.Site) steer.Will {
	will := steer.Will{Drained: map[topology.ServerName]string{}, Off: map[steer.Place]string{}, Pins: map[netip.Prefix]steer.Pin{}}
	for _, server := range s.Servers {
		if rapid.IntRange(0, 4).Draw(t, "drained") == 0 {
			will.Drained[server.Name] = "drained"
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "places") {
		vip := rapid.SampledFrom(s.VIPs).Draw(t, "of")
		name := rapid.SampledFrom(vip.Servers()).Draw(t, "at")
		if rapid.Bool().Draw(t, "pin") {
			will.Pins[vip.Entry] = steer.Pin{Server: name, Force: rapid.Bool().Draw(t, "force")}
		} else {
			will.Off[steer.Place{Server: name, VIP: vip.Entry}] = "drained of it"
		}
	}
	if rapid.Bool().Draw(t, "resumed") {
		will.Resumed = noon.Add(-time.Duration(rapid.IntRange(0, 120).Draw(t, "when")) * time.Second)
	}
	return will
}

// forced reports whether an operator wants the VIP there, whatever speaks against it.
func forced(in steer.Input, vip *steer.Cohort, name topology.ServerName) bool {
	pin, pinned := in.Pins[vip.Prefix]
	return pinned && pin.Force && pin.Server == name
}

func verdict(in steer.Input, name topology.ServerName, vip *steer.Cohort) health.Verdict {
	return in.Health.State(health.Target{Server: name, VIP: vip.Judge}).Verdict
}

func anyEligible(in steer.Input, vip *steer.Cohort) bool {
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
		before := steer.Assign(in.Cohorts, in.Previous.For)
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
		if name := rapid.SampledFrom(in.Site.Servers).Draw(t, "undrained").Name; in.Drained[name] == "" {
			in.Recalled = recalled(noon, name)
			want = steer.Desired(in)
		}
		in.Previous, in.Recalled = want, steer.Recall{}
		again := steer.Desired(in)
		for _, vip := range in.Cohorts.All() {
			if !slices.Equal(again.Of(vip.Prefix).Servers, want.Of(vip.Prefix).Servers) || again.Of(vip.Prefix).Withdraw != want.Of(vip.Prefix).Withdraw {
				t.Fatalf("%s moved again\nfirst:\n%s\nthen:\n%s", vip.Prefix, describe(in.Site, want), describe(in.Site, again))
			}
		}
	})
}

func TestNothingIsDecidedBeforeItIsDue(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, _ steer.Assignment) {
		name := rapid.SampledFrom(in.Site.Servers).Draw(t, "let back").Name
		if rapid.Bool().Draw(t, "hurried") {
			in.Hurried = recalled(noon, name)
		} else {
			in.Recalled = recalled(noon, name)
		}
		in.Now = noon.Add(rapid.SampledFrom([]time.Duration{0, 10 * time.Minute}).Draw(t, "passed"))
		in.Witness.Heard = in.Now
		in.Previous = steer.Desired(in)
		due := in.Previous.NextDue()
		in.Now = in.Now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "seconds later")) * time.Second)
		if !due.IsZero() && !in.Now.Before(due) {
			return
		}
		if again := steer.Desired(in); !again.SameRoutes(in.Previous) {
			t.Fatalf("nothing was due before %s, and at %s others are wanted: %v", due, in.Now, differences(in.Previous, again))
		}
	})
}

func TestEveryChoiceCarriesAReason(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Cohorts.All() {
			if w := want.Of(vip.Prefix); w.Why == "" || w.Cause == "" {
				t.Fatalf("%s has no reason: %+v", vip.Prefix, w)
			}
		}
	})
}

func TestTrafficGoesOnlyToWhoIsEligibleOrHasIt(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Cohorts.All() {
			for _, name := range want.Of(vip.Prefix).Servers {
				lastResort := vip.OnAllDown == topology.FirstTier && !anyEligible(in, vip)
				if !in.Eligible(name, vip) && !slices.Contains(in.Previous.Of(vip.Prefix).Servers, name) && !forced(in, vip, name) && !lastResort {
					t.Fatalf("%s goes to %s, which is %s and did not have it", vip.Prefix, name, verdict(in, name, vip))
				}
			}
		}
	})
}

func TestALostServerIsLeftWhenSomebodyIsEligible(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Cohorts.All() {
			w := want.Of(vip.Prefix)
			if w.Frozen || w.Cause == steer.Unproven || !anyEligible(in, vip) {
				continue
			}
			for _, name := range w.Servers {
				if (verdict(in, name, vip) == health.Down || in.Off(name, vip) != "") && !forced(in, vip, name) {
					t.Fatalf("%s stays with %s (%s, %s) though others are eligible: %s", vip.Prefix, name, verdict(in, name, vip), in.Off(name, vip), w.Why)
				}
			}
		}
	})
}

func TestNobodyLosesItsRouteUnlessTheFileSaysWithdraw(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Cohorts.All() {
			w := want.Of(vip.Prefix)
			if len(in.Previous.Of(vip.Prefix).Servers) == 0 || len(w.Servers) > 0 {
				continue
			}
			if !w.Withdraw || vip.OnAllDown != topology.Withdraw || anyEligible(in, vip) {
				t.Fatalf("%s lost its route: %+v", vip.Prefix, w)
			}
			for _, name := range vip.Servers() {
				if verdict(in, name, vip) == health.Unknown && in.Off(name, vip) == "" {
					t.Fatalf("%s was withdrawn although nothing is known of %s", vip.Prefix, name)
				}
			}
		}
	})
}

func TestTrafficLeavesAHealthyServerOnlyByFailback(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		for _, vip := range in.Cohorts.All() {
			was, w := in.Previous.Of(vip.Prefix).Servers, want.Of(vip.Prefix)
			if _, pinned := in.Pins[vip.Prefix]; pinned || len(was) != 1 || in.Off(was[0], vip) != "" || verdict(in, was[0], vip) == health.Down || slices.Contains(w.Servers, was[0]) {
				continue
			}
			if vip.Failback.Mode == topology.FailbackManual || vip.Failback.Mode == topology.FailbackNever {
				t.Fatalf("%s left %s, which is %s, with failback %s", vip.Prefix, was[0], verdict(in, was[0], vip), vip.Failback.Mode)
			}
			for _, name := range w.Servers {
				since := in.Health.State(health.Target{Server: name, VIP: vip.Judge}).Since
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
		in.Health, in.Will = beliefs{}, steer.Will{}
		in.Cohorts = steer.NewCohorts(in.Site)
		want := steer.Desired(in)
		for _, vip := range in.Cohorts.All() {
			was, withdrawn := in.Previous.For(vip).Servers, in.Previous.For(vip).Withdraw
			if vip.Mode == topology.Single && len(was) > 1 {
				continue // routes that we did not make: one of the servers is kept
			}
			if !slices.ContainsFunc(vip.Servers(), func(name topology.ServerName) bool { return in.Off(name, vip) == "" }) {
				continue // that it has no server is known
			}
			if now := want.Of(vip.Prefix).Withdraw; now != withdrawn {
				t.Fatalf("%s is withdrawn: %t, and was: %t, while nothing is known", vip.Prefix, now, withdrawn)
			}
			for _, name := range want.Of(vip.Prefix).Servers {
				if !slices.Contains(was, name) {
					t.Fatalf("%s went from %v to %v while nothing is known", vip.Prefix, was, want.Of(vip.Prefix).Servers)
				}
			}
		}
	})
}

// TestPrefixesOfACohortStayTogether holds that VIPs of one entry, and of one
// cohort, always get the same, also when the site before was another one.
func TestPrefixesOfACohortStayTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, drawSite(t))
		if rapid.Bool().Draw(t, "reloaded") {
			in.Previous = drawInput(t, drawSite(t)).Previous
		}
		want := steer.Desired(in)
		seen := map[netip.Prefix]bool{}
		for _, cohort := range in.Cohorts.All() {
			for _, prefix := range cohort.Prefixes {
				if seen[prefix] || in.Cohorts.Of(prefix) != cohort || !reflect.DeepEqual(want.Of(prefix), want.For(cohort)) {
					t.Fatalf("%s is not with its cohort %s", prefix, cohort.Prefix)
				}
				seen[prefix] = true
			}
		}
		for _, vip := range in.Site.VIPs {
			if in.Cohorts.Of(vip.Prefix) != in.Cohorts.Of(vip.Entry) || !seen[vip.Prefix] {
				t.Fatalf("%s is not with %s, the first of its entry", vip.Prefix, vip.Entry)
			}
		}
	})
}

// TestAChangeOfSiteMovesNothingElse adds a VIP to a site and takes one away:
// the others stay where they were.
func TestAChangeOfSiteMovesNothingElse(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, before steer.Assignment) {
		site := *in.Site
		added := site.VIPs[0]
		added.Prefix, added.Entry = numbered(200, 0), numbered(200, 0)
		gone := rapid.SampledFrom(site.VIPs).Draw(t, "gone").Entry
		site.VIPs = slices.DeleteFunc(append(slices.Clone(site.VIPs), added), func(vip topology.VIP) bool { return vip.Entry == gone })
		cohorts := steer.NewCohorts(&site, in.Apart()...)
		for _, vip := range site.VIPs {
			was := before.Of(vip.Prefix).Servers
			if now := before.For(cohorts.Of(vip.Prefix)).Servers; vip.Entry != added.Entry && !slices.Equal(was, now) {
				t.Fatalf("%s was with %v and starts with %v in the new site", vip.Prefix, was, now)
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
		through := rapid.SampledFrom([]topology.Through{topology.ThroughVIP, topology.ThroughAddress}).Draw(t, "through")
		s.Checks = []topology.Check{{Name: "web", Through: through}}
		n := rapid.IntRange(1, 300).Draw(t, "vips")
		for i := range n {
			vip := topology.VIP{
				Prefix: numbered(i>>8, i&255), Entry: numbered(i>>8, i&255), Judge: numbered(i>>8, i&255), Mode: topology.Single, Check: "web",
				Tiers: []topology.Tier{{Name: "primary", Servers: all}}, Failback: topology.Failback{Mode: topology.FailbackImmediate},
			}
			if through == topology.ThroughAddress {
				vip.Judge = numbered(0, 0)
			}
			s.VIPs = append(s.VIPs, vip)
		}
		b := beliefs{states: map[health.Target]health.State{}}
		set := func(name topology.ServerName, verdict health.Verdict) {
			for _, vip := range s.VIPs {
				b.states[health.Target{Server: name, VIP: vip.Judge}] = health.State{Verdict: verdict, Since: noon}
			}
		}
		for _, name := range all {
			set(name, health.Up)
		}
		in := steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Health: b, Now: noon}
		well := steer.Desired(in)
		bounded(t, in, well, "")

		gone := rapid.SampledFrom(all).Draw(t, "gone")
		set(gone, health.Down)
		in.Previous = well
		without := steer.Desired(in)
		bounded(t, in, without, gone)
		for _, vip := range s.VIPs {
			was := well.Of(vip.Prefix).Servers[0]
			if now := without.Of(vip.Prefix).Servers[0]; was != gone && now != was {
				t.Fatalf("%s moved from %s to %s when %s was lost", vip.Prefix, was, now, gone)
			}
		}

		set(gone, health.Up)
		in.Previous = without
		back := steer.Desired(in)
		for _, vip := range s.VIPs {
			if !slices.Equal(back.Of(vip.Prefix).Servers, well.Of(vip.Prefix).Servers) {
				t.Fatalf("%s is with %v after %s came back, and was with %v before", vip.Prefix, back.Of(vip.Prefix).Servers, gone, well.Of(vip.Prefix).Servers)
			}
		}
	})
}

// bounded fails if a server has more than 1.25 times its share, and one cohort.
func bounded(t *rapid.T, in steer.Input, a steer.Assignment, gone topology.ServerName) {
	count, total := map[topology.ServerName]int{}, 0
	for _, server := range in.Site.Servers {
		if server.Name != gone {
			total += server.Weight
		}
	}
	largest := 0
	for _, cohort := range in.Cohorts.All() {
		count[a.For(cohort).Servers[0]] += len(cohort.Prefixes)
		largest = max(largest, len(cohort.Prefixes))
	}
	for _, server := range in.Site.Servers {
		most := 1.25*float64(len(in.Site.VIPs)*server.Weight)/float64(total) + float64(largest)
		if server.Name != gone && float64(count[server.Name]) > most {
			t.Fatalf("%s carries %d VIPs, more than %.1f", server.Name, count[server.Name], most)
		}
	}
}

// routesOf is what a router has that does as it is told.
func routesOf(s *topology.Site, a steer.Assignment) []steer.Route {
	var routes []steer.Route
	for _, vip := range s.VIPs {
		if hops := a.Of(vip.Prefix).NextHops; len(hops) > 0 {
			routes = append(routes, steer.Route{Prefix: vip.Prefix, NextHops: hops})
		}
	}
	return routes
}

func TestApplyingADiffLeavesNothingToDo(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		in.Previous = steer.Assignment{}
		table := map[netip.Prefix]steer.Route{}
		for _, route := range routesOf(in.Site, steer.Desired(in)) {
			if rapid.Bool().Draw(t, "has") {
				route.Stray = rapid.Bool().Draw(t, "stray")
				table[route.Prefix] = route
			}
		}
		have := func() *steer.Table {
			routes := slices.Collect(maps.Values(table))
			steer.SortRoutes(routes)
			return steer.NewTable(in.Cohorts, routes)
		}
		for _, change := range steer.Diff(want, have(), steer.Terms{}).Changes {
			for _, prefix := range change.Prefixes {
				was := table[prefix]
				if !slices.Equal(was.NextHops, change.From) {
					t.Fatalf("%s, but %s had %v", change, prefix, was)
				}
				if !was.Stray && slices.Equal(was.NextHops, change.To) {
					t.Fatalf("%s, but %s was well", change, prefix)
				}
				if change.Op == steer.Remove {
					delete(table, prefix)
				} else {
					table[prefix] = steer.Route{Prefix: prefix, NextHops: change.To}
				}
			}
		}
		if left := steer.Diff(want, have(), steer.Terms{}); len(left.Changes) > 0 {
			t.Fatalf("still to do: %v", left.Changes)
		}
		for _, vip := range in.Site.VIPs {
			got, want := table[vip.Prefix], want.Of(vip.Prefix)
			if len(want.NextHops) > 0 && (got.Stray || !slices.Equal(got.NextHops, want.NextHops)) {
				t.Fatalf("%s has %+v, want %v", vip.Prefix, got, want.NextHops)
			}
		}
	})
}
