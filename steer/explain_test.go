package steer_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// having are the roles of servers that have the traffic.
var having = []steer.Role{
	steer.RolePinned, steer.RoleHome, steer.RoleChosen, steer.RoleSharing, steer.RoleHolding, steer.RoleUnproven,
	steer.RoleLeft, steer.RoleWithheld, steer.RoleJudged, steer.RoleLeaving,
}

var lacking = []steer.Role{
	steer.RoleOut, steer.RoleDown, steer.RoleUnknown, steer.RoleReturning, steer.RoleByHand,
	steer.RoleStandby, steer.RoleSpare, steer.RoleBarred, steer.RoleUndecided,
}

// explained checks a property of every VIP's standings by a decision that had
// nothing left to move: the load that it counted is the load there is.
func explained(t *testing.T, property func(t *rapid.T, in steer.Input, vip *steer.Cohort, all []steer.Standing)) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		in.Previous = want
		in.Previous = steer.Desired(in)
		for _, vip := range in.Cohorts.All() {
			property(t, in, vip, steer.Explain(in, vip))
		}
	})
}

func TestEveryServerOfAVIPHasOneRole(t *testing.T) {
	explained(t, func(t *rapid.T, in steer.Input, vip *steer.Cohort, all []steer.Standing) {
		want := in.Previous.For(vip)
		var names []topology.ServerName
		for _, s := range all {
			names = append(names, s.Server)
			if s.Eligible != in.Eligible(s.Server, vip) {
				t.Fatalf("%s: it says eligible %t of %s", vip.Prefix, s.Eligible, s.Server)
			}
			if s.Chosen != slices.Contains(want.Servers, s.Server) {
				t.Fatalf("%s: it says chosen %t of %s", vip.Prefix, s.Chosen, s.Server)
			}
			roles := lacking
			if s.Chosen {
				roles = having
			}
			if !slices.Contains(roles, s.Role) || s.Why == "" {
				t.Fatalf("%s: %s has role %q: %q", vip.Prefix, s.Server, s.Role, s.Why)
			}
		}
		if !slices.Equal(names, vip.Servers()) {
			t.Fatalf("%s: it speaks of %v and not of %v", vip.Prefix, names, vip.Servers())
		}
	})
}

// TestRolesAgreeWithTheDecision holds that what is said of servers is what was
// decided for the VIP.
func TestRolesAgreeWithTheDecision(t *testing.T) {
	explained(t, func(t *rapid.T, in steer.Input, vip *steer.Cohort, all []steer.Standing) {
		want := in.Previous.For(vip)
		with := func(role steer.Role) bool {
			return slices.ContainsFunc(all, func(s steer.Standing) bool { return s.Role == role })
		}
		for _, claim := range []struct {
			what      string
			said, was bool
		}{
			{"a server is about to leave, but all is decided", with(steer.RoleLeaving), false},
			{"a server holds the traffic for now", with(steer.RoleHolding), want.Cause == steer.Waiting && !unprovenOnly(all)},
			{"failures are not believed", with(steer.RoleWithheld), (want.Frozen || want.Cause == steer.Unproven) && len(want.Servers) > 0},
			{"it is pinned", with(steer.RolePinned), want.Cause == steer.Pinned},
			{"nobody is decided on", with(steer.RoleUndecided) && len(want.Servers) > 0, false},
			{"an operator has to ask for failback", with(steer.RoleByHand) && vip.Failback.Mode != topology.FailbackManual && vip.Failback.Mode != topology.FailbackNever, false},
		} {
			if claim.said != claim.was {
				t.Fatalf("%s: it says %t that %s\n%+v\n%+v", vip.Prefix, claim.said, claim.what, want, all)
			}
		}
		next := time.Time{}
		for _, s := range all {
			if s.Role == steer.RoleReturning && (next.IsZero() || s.Due.Before(next)) {
				next = s.Due
			}
		}
		if !next.Equal(want.Next) && want.Cause != steer.Unproven { // that waits for a witness
			t.Fatalf("%s: the next server is due at %s, and the next decision at %s\n%+v", vip.Prefix, next, want.Next, all)
		}
	})
}

// unprovenOnly reports whether nothing is known of any server with the traffic.
func unprovenOnly(all []steer.Standing) bool {
	return !slices.ContainsFunc(all, func(s steer.Standing) bool { return s.Chosen && s.Role != steer.RoleUnproven })
}

// TestWhoIsSaidToReturnDoes lets the time come that is said.
func TestWhoIsSaidToReturnDoes(t *testing.T) {
	explained(t, func(t *rapid.T, in steer.Input, vip *steer.Cohort, all []steer.Standing) {
		for _, s := range all {
			if s.Role != steer.RoleReturning || vip.Mode == topology.Single && s.Server != vip.Home() {
				continue // where several of a better tier are as good, the load decides when the time comes
			}
			later := in
			later.Now = s.Due
			if now := steer.Desired(later).For(vip).Servers; !slices.Contains(now, s.Server) {
				t.Fatalf("%s: %s was to return at %s, and then it is with %v", vip.Prefix, s.Server, s.Due, now)
			}
		}
	})
}

// TestLossesAreWhatDesiredSays loses servers, which is decided for those alone
// that it concerns.
func TestLossesAreWhatDesiredSays(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		in.Previous = want
		in.Previous = steer.Desired(in)
		names := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) topology.ServerName {
			return rapid.SampledFrom(in.Site.Servers).Draw(t, "server").Name
		}), 1, min(2, len(in.Site.Servers)), rapid.ID).Draw(t, "lost")
		losses := steer.NewLosses(in)
		losses.Without(in.Site.Servers[0].Name) // leaves nothing behind
		some := losses.Without(names...)
		for target := range in.Health.(beliefs).states {
			if slices.Contains(names, target.Server) {
				word := in.Health.State(target).Word
				in.Health.(beliefs).states[target] = health.State{Verdict: health.Down, Since: noon, LastCheck: noon, Why: "lost", Word: word}
			}
		}
		in.Witness.Heard = noon.Add(time.Second)
		all := steer.Desired(in)
		for _, vip := range in.Cohorts.All() {
			a, b := all.For(vip), some.Previous.For(vip)
			if !slices.Equal(a.Servers, b.Servers) || !slices.Equal(a.NextHops, b.NextHops) || a.Withdraw != b.Withdraw || a.Frozen != b.Frozen {
				t.Fatalf("without %v, deciding for all says\n%s\nand for some\n%s", names, describe(in.Site, all), describe(in.Site, some.Previous))
			}
		}
		in.Previous = all
		if a, b := steer.Shares(in), some.Shares(); !slices.Equal(a, b) {
			t.Fatalf("without %v, shares are\n%+v\nand\n%+v", names, a, b)
		}
		if a, b := all.Frozen(), some.Previous.Frozen(); a != b {
			t.Fatalf("without %v, deciding for all says %q and for some %q", names, a, b)
		}
	})
}

// TestSharesAddUp holds that VIPs are counted once, and that what is fair is
// shared by those who can take any.
func TestSharesAddUp(t *testing.T) {
	check(t, func(t *rapid.T, in steer.Input, want steer.Assignment) {
		in.Previous = want
		placed, carried, fair, takes := 0, 0.0, 0.0, false
		for _, cohort := range in.Cohorts.All() {
			if len(want.For(cohort).Servers) > 0 {
				placed += len(cohort.Prefixes)
			}
		}
		for _, share := range steer.Shares(in) {
			carried += share.VIPs
			fair += share.Fair
			can := slices.ContainsFunc(in.Cohorts.All(), func(c *steer.Cohort) bool { return in.Holds(share.Server, c) })
			if takes = takes || can; can != share.Takes || can != (share.Fair > 0) && placed > 0 {
				t.Fatalf("%s may carry any: %t, and its fair share is %f", share.Server, can, share.Fair)
			}
		}
		if diff := carried - float64(placed); diff > 1e-6 || diff < -1e-6 {
			t.Fatalf("%d VIPs are placed and %f are carried", placed, carried)
		}
		if diff := fair - float64(placed); takes && (diff > 1e-6 || diff < -1e-6) {
			t.Fatalf("%d VIPs are placed and %f are fair", placed, fair)
		}
	})
}

// TestWhatIsSharedCountsByWeight: web1 and web2 share a VIP, and web2 weighs twice as much.
func TestWhatIsSharedCountsByWeight(t *testing.T) {
	s := site(t, pool)
	believed, _ := believe(t, s, "")
	shares := steer.Shares(steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Health: believed, Previous: routed(s, "web1,web2"), Now: noon})
	for i, want := range []float64{1. / 3, 2. / 3, 0} {
		if diff := shares[i].VIPs - want; diff > 1e-6 || diff < -1e-6 {
			t.Errorf("%s carries %f of a VIP, want %f", shares[i].Server, shares[i].VIPs, want)
		}
	}
}

// TestExplanations reads what is said in situations that operators ask about.
func TestExplanations(t *testing.T) {
	const three = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13}
vips: [{prefix: 203.0.113.32/27, primary: web1, backup: [web2, web3]FAILBACK}]
policy: {POLICY}
routers: {edge: {linux: {}}}
`
	vip := netip.MustParsePrefix("203.0.113.32/27")
	for name, c := range map[string]struct {
		failback, policy, servers, was, want string
		will                                 steer.Will
	}{
		"all is well": {servers: "", was: "web1", want: `
web1 home: it belongs there when all are well (primary)
web2 standby: backup: web1 of primary can carry it
web3 standby: backup: web1 of primary can carry it`},
		"its primary is down": {servers: "web1 down", was: "web1", want: `
web1 down: web1 is down: connection refused
web2 spare: web3 comes first in the VIP's order, and has it
web3 chosen: web1 is down: connection refused: moved to web3 (backup)`},
		"its primary is back for a while": {servers: "web1 up 20s", was: "web2", want: `
web1 returning: web1 is back, and gets its traffic once it has been healthy for 1m0s [in 40s]
web2 holding: web1 is back, and gets its traffic once it has been healthy for 1m0s
web3 standby: backup: web1 of primary can carry it`},
		"failback is manual": {failback: ", failback: manual", servers: "", was: "web2", want: `
web1 by hand: web1 is back; failback is manual (routesteer failback 203.0.113.32/27)
web2 holding: web1 is back; failback is manual (routesteer failback 203.0.113.32/27)
web3 standby: backup: web1 of primary can carry it`},
		"a drain": {servers: "web1 drained, web2 unknown", was: "web1", want: `
web1 out of service: web1 is drained
web2 unknown: web2 is not known to be up yet
web3 chosen: web1 is drained: moved to web3 (backup)`},
		"nobody is well": {servers: "web1 down, web2 drained, web3 down", was: "web1", want: `
web1 left: web1 is down: connection refused, but no server is eligible: the route stays as it is
web2 out of service: web2 is drained
web3 down: web3 is down: connection refused`},
		"too many are down": {policy: "max_unavailable: 1", servers: "web1 down, web2 down", was: "web1", want: `
web1 withheld: web1 is down: connection refused; frozen: 2 of 3 servers down and 0 drained, more than max_unavailable (1)
web2 down: web2 is down: connection refused
web3 barred: web1 is down: connection refused; frozen: 2 of 3 servers down and 0 drained, more than max_unavailable (1)`},
		"nothing is known": {servers: "web1 unknown, web2 unknown, web3 up", was: "web1", want: `
web1 unproven: no verdict yet, and nothing against it: traffic that is there stays
web2 unknown: web2 is not known to be up yet
web3 standby: backup: it stays with web1 of primary`},
		"a pin": {was: "web1", will: steer.Will{Pins: map[netip.Prefix]steer.Pin{vip: {Server: "web3"}}}, want: `
web1 barred: the VIP is pinned to web3
web2 barred: the VIP is pinned to web3
web3 pinned: pinned to web3`},
		"a pin that cannot hold": {servers: "web3 down", was: "web1", will: steer.Will{Pins: map[netip.Prefix]steer.Pin{vip: {Server: "web3"}}}, want: `
web1 home: it belongs there when all are well (primary)
web2 standby: backup: web1 of primary can carry it
web3 down: web3 is down: connection refused; the VIP is pinned to it, and goes there as soon as it can`},
		"off one VIP": {was: "web1", will: steer.Will{Off: map[steer.Place]string{{Server: "web1", VIP: vip}: "drained of it"}}, want: `
web1 out of service: web1 is drained of it
web2 spare: web3 comes first in the VIP's order, and has it
web3 chosen: web1 is drained of it: moved to web3 (backup)`},
		"a weight of 0": {failback: ", weights: {web2: 0}", was: "web1", want: `
web1 home: it belongs there when all are well (primary)
web2 out of service: web2 is given weight 0
web3 standby: backup: web1 of primary can carry it`},
		"a witness is asked": {policy: "witness: 192.0.2.1", servers: "web1 down 0s", was: "web1", want: `
web1 withheld: web1 is down: connection refused; a witness is being asked whether this controller is cut off
web2 barred: web1 is down: connection refused; a witness is being asked whether this controller is cut off
web3 barred: web1 is down: connection refused; a witness is being asked whether this controller is cut off`},
		"all down, and the first tier": {failback: ", on_all_down: first_tier", servers: "web1 down, web2 down, web3 down", was: "web2", want: `
web1 left: web1 is down: connection refused, but no server is eligible: the traffic is sent to the first tier
web2 down: web2 is down: connection refused
web3 down: web3 is down: connection refused`},
		"no route yet": {servers: "web1 unknown", was: "-", want: `
web1 unknown: web1 is not known to be up yet
web2 undecided: no route yet, and checks of better servers are still under way
web3 undecided: no route yet, and checks of better servers are still under way`},
	} {
		t.Run(name, func(t *testing.T) {
			s := site(t, strings.NewReplacer("FAILBACK", c.failback, "POLICY", c.policy).Replace(three))
			in := steer.Input{Site: s, Will: c.will, Cohorts: steer.NewCohorts(s, c.will.Apart()...), Previous: routed(s, c.was), Now: noon}
			in.Health, in.Drained = believe(t, s, c.servers)
			in.Previous = steer.Desired(in)
			got := ""
			for _, standing := range steer.Explain(in, in.Cohorts.All()[0]) {
				got += fmt.Sprintf("\n%s %s: %s", standing.Server, standing.Role, standing.Why)
				if !standing.Due.IsZero() {
					got += fmt.Sprintf(" [in %s]", standing.Due.Sub(noon))
				}
			}
			if got != c.want {
				t.Errorf("it says%s\nwant%s", got, c.want)
			}
		})
	}
}
