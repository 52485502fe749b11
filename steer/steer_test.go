package steer_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// noon is when every situation happens.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A beliefs is a Health made up by a test.
type beliefs struct {
	states map[health.Target]health.State
	lost   map[netip.Addr]bool
	well   map[netip.Addr]time.Time // since when, if not always
}

func (b beliefs) State(t health.Target) health.State { return b.states[t] }
func (b beliefs) Lost(a netip.Addr) bool             { return b.lost[a] }
func (b beliefs) WellSince(a netip.Addr) time.Time   { return b.well[a] }

// site parses a file as an operator would write it.
func site(t testing.TB, text string) *topology.Site {
	t.Helper()
	parsed, err := topology.Parse("site.yaml", []byte(text))
	if err != nil {
		t.Fatalf("the test's own site is bad:\n%v", err)
	}
	return parsed
}

const article = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13, web4: 192.0.2.14}
vips:
  - {prefix: 203.0.113.32/27, primary: web1}
  - {prefix: 203.0.113.64/27, primary: web2}
  - {prefix: 203.0.113.96/27, primary: web3}
  - {prefix: 203.0.113.128/27, primary: web4}
routers: {edge: {linux: {}}}
`

const pool = `
servers: {web1: 192.0.2.11, web2: {address: 192.0.2.12, weight: 2}, web3: 192.0.2.13}
vips:
  - {prefix: 203.0.113.96/32, primary: [web1, web2], backup: web3, mode: ecmp}
routers: {edge: {linux: {}}}
`

// believe reads "web1 down 5s, web2 drained, web3 unknown"; the others are up
// for an hour. "5s" is for how long.
func believe(t testing.TB, s *topology.Site, text string) (beliefs, map[topology.ServerName]string) {
	t.Helper()
	b := beliefs{states: map[health.Target]health.State{}, lost: map[netip.Addr]bool{}}
	drained := map[topology.ServerName]string{}
	set := func(name topology.ServerName, state health.State) {
		for _, vip := range s.VIPs {
			b.states[health.Target{Server: name, VIP: vip.Judge}] = state
		}
	}
	for _, server := range s.Servers {
		set(server.Name, health.State{Verdict: health.Up, Since: noon.Add(-time.Hour)})
	}
	for _, phrase := range strings.Split(text, ",") {
		word := strings.Fields(phrase)
		if len(word) == 0 {
			continue
		}
		name, since := topology.ServerName(word[0]), noon.Add(-time.Hour)
		if len(word) > 2 {
			age, err := time.ParseDuration(word[2])
			if err != nil {
				t.Fatal(err)
			}
			since = noon.Add(-age)
		}
		switch word[1] {
		case "up":
			set(name, health.State{Verdict: health.Up, Since: since})
		case "down":
			set(name, health.State{Verdict: health.Down, Since: since, Why: "connection refused"})
		case "unknown":
			set(name, health.State{})
		case "leaving":
			set(name, health.State{Verdict: health.Up, Since: since, Word: health.Word{Leave: true}})
		case "drained":
			drained[name] = "drained"
		default:
			t.Fatalf("what is %q?", phrase)
		}
	}
	return b, drained
}

// routed is an assignment in which VIP after VIP is with the given servers:
// "web1 web2 web3,web4 -".
func routed(s *topology.Site, text string) steer.Assignment {
	wants := map[netip.Prefix]steer.Want{}
	for i, word := range strings.Fields(text) {
		if word == "-" {
			continue
		}
		var servers []topology.ServerName
		for _, name := range strings.Split(word, ",") {
			servers = append(servers, topology.ServerName(name))
		}
		wants[s.VIPs[i].Prefix] = steer.Want{Servers: servers, Since: noon.Add(-time.Hour)}
	}
	return assign(s, wants)
}

// assign wants of each cohort what wants has for the first of its prefixes.
func assign(s *topology.Site, wants map[netip.Prefix]steer.Want) steer.Assignment {
	return steer.Assign(steer.NewCohorts(s), func(c *steer.Cohort) steer.Want { return wants[c.Prefix] })
}

func describe(s *topology.Site, a steer.Assignment) string {
	var lines []string
	for _, vip := range s.VIPs {
		want := a.Of(vip.Prefix)
		var hops []string
		for _, name := range want.Servers {
			hops = append(hops, string(name))
		}
		where := strings.Join(hops, ",")
		switch {
		case want.Withdraw:
			where = "withdrawn"
		case where == "":
			where = "-"
		}
		line := fmt.Sprintf("%s %s: %s", vip.Prefix, where, want.Why)
		if !want.Next.IsZero() {
			line += fmt.Sprintf(" [in %s]", want.Next.Sub(noon))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestDesired(t *testing.T) {
	with := func(text, policy string) string { return text + "policy: " + policy + "\n" }
	for _, situation := range []struct {
		name, site, servers, before, want string
	}{
		{"all well, nothing moves", article, "", "web1 web2 web3 web4", `
203.0.113.32/27 web1: web1 is primary
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"no routes yet, each VIP goes to its primary", article, "", "- - - -", `
203.0.113.32/27 web1: web1 is primary
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"no routes yet, and the primary's checks are under way: wait for them", article, "web1 unknown", "- web2 web3 web4", `
203.0.113.32/27 -: no route yet, and checks of better servers are still under way
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"at a start nothing is known and nothing moves", article, "web1 unknown, web2 unknown, web3 unknown, web4 unknown", "web3 web2 - web4", `
203.0.113.32/27 web3: web3 is backup
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 -: no server is known to be up yet
203.0.113.128/27 web4: web4 is primary`},
		{"a lost server's VIP goes to a backup, the others stay", article, "web1 down 1s", "web1 web2 web3 web4", `
203.0.113.32/27 web4: web1 is down: connection refused: moved to web4 (backup)
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"a drained server's VIP goes to a backup", article, "web2 drained", "web1 web2 web3 web4", `
203.0.113.32/27 web1: web1 is primary
203.0.113.64/27 web3: web2 is drained: moved to web3 (backup)
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"a primary that is back waits for the failback policy", article, "web1 up 20s", "web3 web2 web3 web4", `
203.0.113.32/27 web3: web1 is back, and gets its traffic once it has been healthy for 1m0s [in 40s]
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"a primary that has been well for long enough gets its traffic back", article, "web1 up 60s", "web3 web2 web3 web4", `
203.0.113.32/27 web1: web1 back in service (primary)
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"failback never: traffic stays", with(article, "{failback: never}"), "", "web3 web2 web3 web4", `
203.0.113.32/27 web3: web3 is backup
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"failback manual: traffic stays and says so", with(article, "{failback: manual}"), "", "web3 web2 web3 web4", `
203.0.113.32/27 web3: web1 is back; failback is manual (routesteer failback 203.0.113.32/27)
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"failback immediate: traffic returns", with(article, "{failback: immediate}"), "web1 up 0s", "web3 web2 web3 web4", `
203.0.113.32/27 web1: web1 back in service (primary)
203.0.113.64/27 web2: web2 is primary
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"nobody is left: routes stay", article, "web1 down, web2 down, web3 down, web4 drained", "web1 web2 web3 web4", `
203.0.113.32/27 web1: no server is eligible (web1 is down: connection refused; web2 is down: connection refused; web3 is down: connection refused; web4 is drained): left as it is
203.0.113.64/27 web2: no server is eligible (web2 is down: connection refused; web1 is down: connection refused; web3 is down: connection refused; web4 is drained): left as it is
203.0.113.96/27 web3: no server is eligible (web3 is down: connection refused; web1 is down: connection refused; web2 is down: connection refused; web4 is drained): left as it is
203.0.113.128/27 web4: no server is eligible (web4 is drained; web1 is down: connection refused; web2 is down: connection refused; web3 is down: connection refused): left as it is`},
		{"nobody is left and the file says withdraw", with(pool, "{on_all_down: withdraw}"), "web1 down, web2 down, web3 down", "web1,web2", `
203.0.113.96/32 withdrawn: no server is eligible (web1 is down: connection refused; web2 is down: connection refused; web3 is down: connection refused): withdrawn`},
		{"too many are unavailable, one by its own word: frozen", with(article, "{max_unavailable: 50%}"), "web1 down, web2 down, web3 leaving", "web1 web2 web4 web4", `
203.0.113.32/27 web1: web1 is down: connection refused; frozen: 2 of 4 servers down and 1 drained, more than max_unavailable (2)
203.0.113.64/27 web2: web2 is down: connection refused; frozen: 2 of 4 servers down and 1 drained, more than max_unavailable (2)
203.0.113.96/27 web4: web4 is backup
203.0.113.128/27 web4: web4 is primary`},
		{"too many are unavailable: frozen", with(article, "{max_unavailable: 50%}"), "web1 down, web2 down, web3 drained", "web1 web2 web4 web4", `
203.0.113.32/27 web1: web1 is down: connection refused; frozen: 2 of 4 servers down and 1 drained, more than max_unavailable (2)
203.0.113.64/27 web2: web2 is down: connection refused; frozen: 2 of 4 servers down and 1 drained, more than max_unavailable (2)
203.0.113.96/27 web4: web4 is backup
203.0.113.128/27 web4: web4 is primary`},
		{"frozen, and an operator's drain is obeyed all the same", with(article, "{max_unavailable: 25%}"), "web1 down, web2 drained", "web1 web2 web3 web4", `
203.0.113.32/27 web1: web1 is down: connection refused; frozen: 1 of 4 servers down and 1 drained, more than max_unavailable (1)
203.0.113.64/27 web3: web2 is drained: moved to web3 (backup)
203.0.113.96/27 web3: web3 is primary
203.0.113.128/27 web4: web4 is primary`},
		{"ecmp: all of the tier", pool, "", "-", `
203.0.113.96/32 web1,web2: web1, web2 are primary`},
		{"ecmp: a member joins again, though failback is manual", with(pool, "{failback: manual}"), "", "web2", `
203.0.113.96/32 web1,web2: web1 back in service (primary)`},
		{"ecmp: a tier that is back waits for an operator with failback manual", with(pool, "{failback: manual}"), "", "web3", `
203.0.113.96/32 web3: web1 is back; failback is manual (routesteer failback 203.0.113.96/32)`},
		{"ecmp: who joins takes nobody's place whose loss is not believed", strings.Replace(with(pool, "{witness: 192.0.2.254}"), "primary: [web1, web2], backup: web3", "primary: [web1, web2, web3]", 1), "web2 down", "web1,web2", `
203.0.113.96/32 web1,web2,web3: web3 back in service (primary); web2 is down: connection refused, but no witness (192.0.2.254) was heard since: this controller may be cut off`},
		{"ecmp: a member joins again, though the tier before waits for its time of day", strings.Replace(with(pool, "{failback: {after: 60s, between: 01:00-02:00}}"), "primary: [web1, web2], backup: web3", "primary: web3, backup: [web1, web2]", 1), "", "web1", `
203.0.113.96/32 web1,web2: web2 back in service (backup) [in 13h0m0s]`},
		{"ecmp: a member joins again, though the tier before waits for an operator", strings.Replace(with(pool, "{failback: manual}"), "primary: [web1, web2], backup: web3", "primary: web3, backup: [web1, web2]", 1), "", "web1", `
203.0.113.96/32 web1,web2: web2 back in service (backup)`},
		{"ecmp: a lost member leaves, the others stay", pool, "web1 down", "web1,web2", `
203.0.113.96/32 web2: web1 is down: connection refused`},
		{"ecmp: a member that is back waits, then joins", pool, "web1 up 59s", "web2", `
203.0.113.96/32 web2: web1 is back, and gets its traffic once it has been healthy for 1m0s [in 1s]`},
		{"ecmp: a member that is back joins", pool, "web1 up 60s", "web2", `
203.0.113.96/32 web1,web2: web1 back in service (primary)`},
		{"ecmp: found with two tiers, the better one counts", pool, "web2 down", "web1,web3", `
203.0.113.96/32 web1: web1 is primary`},
		{"ecmp: the tier is lost, the backup takes over", pool, "web1 down, web2 drained", "web1,web2", `
203.0.113.96/32 web3: web1 is down: connection refused, web2 is drained: moved to web3 (backup)`},
		{"ecmp: the tier is back and the backup is let go", pool, "", "web3", `
203.0.113.96/32 web1,web2: web1, web2 back in service (primary)`},
	} {
		t.Run(situation.name, func(t *testing.T) {
			s := site(t, situation.site)
			believed, drained := believe(t, s, situation.servers)
			got := describe(s, steer.Desired(steer.Input{
				Site: s, Health: believed, Will: steer.Will{Drained: drained}, Previous: routed(s, situation.before), Now: noon,
			}))
			if want := strings.TrimSpace(situation.want); got != want {
				t.Errorf("servers: %s\nbefore:  %s\ngot:\n%s\nwant:\n%s", situation.servers, situation.before, got, want)
			}
		})
	}
}

func TestAReasonEndsWhenTheVIPIsHome(t *testing.T) {
	s := site(t, article)
	believed, _ := believe(t, s, "web1 down")
	moved := steer.Want{Servers: []topology.ServerName{"web2"}, Cause: steer.Failover, Why: "what moved it"}
	previous := map[netip.Prefix]steer.Want{s.VIPs[0].Prefix: moved, s.VIPs[1].Prefix: moved}
	got := steer.Desired(steer.Input{Site: s, Health: believed, Previous: assign(s, previous), Now: noon})
	if away, home := got.Of(s.VIPs[0].Prefix).Why, got.Of(s.VIPs[1].Prefix).Why; away != "what moved it" || home != "web2 is primary" {
		t.Errorf("away from home: %q, at home: %q; want what moved it, web2 is primary", away, home)
	}
}

func TestARecalledServerGetsItsTrafficThoughFailbackIsManual(t *testing.T) {
	for _, policy := range []string{"manual", "never"} {
		s := site(t, article+"policy: {failback: "+policy+"}\n")
		believed, _ := believe(t, s, "web3 down")
		in := steer.Input{Site: s, Health: believed, Previous: routed(s, "web2 web2 web2 web4"), Now: noon, Will: steer.Will{Recalled: recalled(noon, "web1", "web3")}}
		got := steer.Desired(in)
		if a, b := got.Of(s.VIPs[0].Prefix).Servers, got.Of(s.VIPs[2].Prefix).Servers; !slices.Equal(a, []topology.ServerName{"web1"}) || !slices.Equal(b, []topology.ServerName{"web2"}) {
			t.Errorf("failback %s: VIPs of web1 and web3 are with %v and %v, want web1 (well) and web2 (web3 is down)", policy, a, b)
		}
	}
}

func TestARecalledServerBringsAlongWhoWouldJoinIt(t *testing.T) {
	s := site(t, pool+"policy: {failback: manual}\n")
	believed, _ := believe(t, s, "")
	in := steer.Input{Site: s, Health: believed, Previous: routed(s, "web3"), Now: noon, Will: steer.Will{Recalled: recalled(noon, "web1")}}
	if got, want := describe(s, steer.Desired(in)), "203.0.113.96/32 web1,web2: web1, web2 back in service (primary)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestWhoIsToJoinIsAwaited: traffic goes back to one server of a tier by an operator's word,
// and the other one, which is back for a shorter time, joins it at any time of day.
func TestWhoIsToJoinIsAwaited(t *testing.T) {
	s := site(t, pool+"policy: {failback: {after: 60s, between: \"01:00-02:00\", time_zone: UTC}}\n")
	believed, _ := believe(t, s, "web2 up 10s")
	in := steer.Input{Site: s, Health: believed, Previous: routed(s, "web3"), Now: noon, Will: steer.Will{Hurried: recalled(noon, "web1")}}
	in.Previous = steer.Desired(in)
	if got, want := describe(s, in.Previous), "203.0.113.96/32 web1: web1 back in service (primary) [in 50s]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	in.Now = in.Previous.NextDue()
	if got, want := describe(s, steer.Desired(in)), "203.0.113.96/32 web1,web2: web2 back in service (primary)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestNobodyWaitsForOneWhileAnotherIsDue has a VIP with a backup, its home lost,
// and of the two others that are better one that has just returned.
func TestNobodyWaitsForOneWhileAnotherIsDue(t *testing.T) {
	s := site(t, `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13, web4: 192.0.2.14}
vips: [{prefix: 203.0.113.32/27, primary: [web1, web2, web3], backup: web4}]
routers: {edge: {linux: {}}}
`)
	well, _ := believe(t, s, "")
	home := string(steer.Desired(steer.Input{Site: s, Health: well, Now: noon}).Of(s.VIPs[0].Prefix).Servers[0])
	for _, order := range [][2]string{{"web1", "web2"}, {"web2", "web1"}, {"web1", "web3"}, {"web3", "web1"}, {"web2", "web3"}, {"web3", "web2"}} {
		due, young := order[0], order[1]
		if due == home || young == home {
			continue
		}
		believed, _ := believe(t, s, home+" down, "+young+" up 5s")
		in := steer.Input{Site: s, Health: believed, Previous: routed(s, "web4"), Now: noon}
		if got, want := describe(s, steer.Desired(in)), "203.0.113.32/27 "+due+": "+due+" back in service (primary)"; got != want {
			t.Errorf("%s is back for 5s\ngot  %s\nwant %s", young, got, want)
		}
	}
}

// TestACommonOutageLeavesVIPsWhereTheyWere plays a LAN that goes and comes
// back: the server that is seen well first must not get everybody's traffic.
// TestWhereAllAreDownNothingMovesForTheLoad has a VIP of which the home is drained, and that
// goes to the first tier because all are down.
func TestWhereAllAreDownNothingMovesForTheLoad(t *testing.T) {
	s := site(t, `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13}
vips: [{prefix: 203.0.113.96/32, primary: [web1, web2, web3], on_all_down: first_tier}]
routers: {edge: {linux: {}}}
`)
	vip := s.VIPs[0].Prefix
	well, _ := believe(t, s, "")
	home := steer.Desired(steer.Input{Site: s, Health: well, Now: noon}).Of(vip).Servers[0]
	believed, _ := believe(t, s, "web1 down, web2 down, web3 down")
	for _, server := range s.Servers {
		if server.Name == home {
			continue
		}
		in := steer.Input{Site: s, Health: believed, Previous: routed(s, string(server.Name)), Now: noon}
		in.Drained = map[topology.ServerName]string{home: "drained"}
		if got := steer.Desired(in).Of(vip).Servers; !slices.Equal(got, []topology.ServerName{server.Name}) {
			t.Errorf("it was at %s, and goes to %s", server.Name, got)
		}
	}
}

func TestACommonOutageLeavesVIPsWhereTheyWere(t *testing.T) {
	s := site(t, article)
	believed, _ := believe(t, s, "web1 down, web2 down, web3 down, web4 down")
	at := func(name topology.ServerName, state health.State) {
		believed.states[health.Target{Server: name, VIP: s.VIPs[0].Judge}] = state
	}
	in := steer.Input{Site: s, Health: believed, Previous: routed(s, "web1 web2 web3 web4"), Now: noon}
	decide := func() string {
		in.Previous = steer.Desired(in)
		return fmt.Sprint(in.Previous.Of(s.VIPs[0].Prefix).Servers)
	}
	later := func(moment time.Time) string {
		in := in
		in.Now = moment
		return fmt.Sprint(steer.Desired(in).Of(s.VIPs[0].Prefix).Servers)
	}
	if got := decide(); got != "[web1]" {
		t.Fatalf("all are down: %s", got)
	}
	rose := noon.Add(time.Second)
	at("web2", health.State{Verdict: health.Up, Since: rose})
	at("web1", health.State{Verdict: health.Down, LastCheck: noon})
	if got := decide(); got != "[web1]" {
		t.Errorf("web2 is back, web1 has not been checked since: %s", got)
	}
	at("web1", health.State{Verdict: health.Down, LastCheck: rose.Add(time.Millisecond), Streak: 1, Needed: 2})
	if got := decide(); got != "[web1]" {
		t.Errorf("web1 passes its checks: %s", got)
	}
	due := in.Previous.Of(s.VIPs[0].Prefix).Next
	if want := rose.Add(s.FallPeriod()); !due.Equal(want) {
		t.Errorf("it is decided again at %s, want %s", due, want)
	}
	if got := later(due.Add(-time.Millisecond)); got != "[web1]" {
		t.Errorf("web1 passes its checks, and web2 is back for almost a fall period: %s", got)
	}
	if got := later(due); got != "[web2]" {
		t.Errorf("web1 still passes its checks and is not up, and web2 is back for a fall period: %s", got)
	}
	at("web1", health.State{Verdict: health.Down, LastCheck: rose.Add(time.Second), Why: "connection refused"})
	if got := decide(); got != "[web2]" {
		t.Errorf("web1 was checked and is down: %s", got)
	}
}

func TestANewAddressGetsTrafficOnlyOnceItIsKnownToWork(t *testing.T) {
	s := site(t, article)
	before, _ := believe(t, s, "")
	in := steer.Input{Site: s, Health: before, Now: noon}
	in.Previous = steer.Desired(in)
	in.Site = site(t, strings.Replace(article, "192.0.2.11", "192.0.2.19", 1))
	hop := func(servers string) string {
		in.Health, _ = believe(t, s, servers)
		return steer.FormatNextHops(steer.Desired(in).Of(s.VIPs[0].Prefix).NextHops)
	}
	if got := hop("web1 unknown"); got != "192.0.2.11" {
		t.Errorf("not checked yet: traffic goes to %s, want 192.0.2.11", got)
	}
	if got := hop(""); got != "192.0.2.19" {
		t.Errorf("checked and up: traffic goes to %s, want 192.0.2.19", got)
	}
}

func TestNextHopIsTheFirstAddressThatIsNotLost(t *testing.T) {
	s := site(t, `
servers: {web1: {addresses: [192.0.2.11, 198.51.100.11, "2001:db8::11"]}, web2: {addresses: [192.0.2.12, "2001:db8::12"]}}
vips: [{prefix: 203.0.113.1, primary: web1}, {prefix: "2001:db8:1::1", primary: web1}]
routers: {edge: {linux: {}}}
`)
	believed, _ := believe(t, s, "")
	hops := func() string {
		a := steer.Desired(steer.Input{Site: s, Health: believed, Now: noon})
		return steer.FormatNextHops(a.Of(s.VIPs[0].Prefix).NextHops) + " " + steer.FormatNextHops(a.Of(s.VIPs[1].Prefix).NextHops)
	}
	if got, want := hops(), "192.0.2.11 2001:db8::11"; got != want {
		t.Errorf("all well: next hops %s, want %s", got, want)
	}
	believed.lost[netip.MustParseAddr("192.0.2.11")] = true
	if got, want := hops(), "198.51.100.11 2001:db8::11"; got != want {
		t.Errorf("first address lost: next hops %s, want %s", got, want)
	}
	believed.lost[netip.MustParseAddr("198.51.100.11")] = true
	if got, want := hops(), "192.0.2.11 2001:db8::11"; got != want {
		t.Errorf("both lost: next hops %s, want %s", got, want)
	}
}

func TestAdoptTakesWhatRoutersHave(t *testing.T) {
	s := site(t, article)
	hop := func(text string) []steer.NextHop {
		return []steer.NextHop{{Address: netip.MustParseAddr(text), Weight: 1}}
	}
	first := []steer.Route{
		{Prefix: s.VIPs[0].Prefix, NextHops: hop("192.0.2.13")},
		{Prefix: s.VIPs[1].Prefix, NextHops: hop("192.0.2.99")}, // nobody we know
	}
	second := []steer.Route{
		{Prefix: s.VIPs[0].Prefix, NextHops: hop("192.0.2.14")},
		{Prefix: s.VIPs[2].Prefix, NextHops: hop("192.0.2.12"), Foreign: true},
		{Prefix: netip.MustParsePrefix("198.51.100.0/24"), NextHops: hop("192.0.2.11")}, // not a VIP
	}
	cohorts := steer.NewCohorts(s)
	adopted := steer.Adopt(cohorts, steer.NewTable(cohorts, first), steer.NewTable(cohorts, second))
	var got []string
	for _, vip := range s.VIPs {
		got = append(got, fmt.Sprint(adopted.Of(vip.Prefix).Servers))
	}
	if want := []string{"[web3]", "[]", "[web2]", "[]"}; !slices.Equal(got, want) {
		t.Errorf("adopted %v, want %v", got, want)
	}
}

// TestAdoptTakesNoServerThatIsNotTheVIPs: who is told to send a VIP's traffic where
// one router does must not be told to send it to a server that has not got it.
func TestAdoptTakesNoServerThatIsNotTheVIPs(t *testing.T) {
	s := site(t, `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13}
vips: [{prefix: 203.0.113.32/27, primary: web1, backup: web2}]
routers: {edge: {linux: {}}}
`)
	cohorts := steer.NewCohorts(s)
	via := func(address string, foreign bool) *steer.Table {
		hops := []steer.NextHop{{Address: netip.MustParseAddr(address), Weight: 1}}
		return steer.NewTable(cohorts, []steer.Route{{Prefix: s.VIPs[0].Prefix, NextHops: hops, Foreign: foreign}})
	}
	adopted := steer.Adopt(cohorts, via("192.0.2.13", true), via("192.0.2.12", false))
	if got := fmt.Sprint(adopted.Of(s.VIPs[0].Prefix).Servers); got != "[web2]" {
		t.Errorf("adopted %s, want [web2]", got)
	}
}

func TestDiff(t *testing.T) {
	s := site(t, `
servers: {web1: {addresses: [192.0.2.11, "2001:db8::11"]}, web2: {addresses: [192.0.2.12, "2001:db8::12"]}}
vips: [203.0.113.32/27, "2001:db8:1::/64"]
routers: {edge: {linux: {}}}
`)
	cohorts := steer.NewCohorts(s)
	a, b := s.VIPs[0].Prefix, s.VIPs[1].Prefix
	web1 := []steer.NextHop{{Address: netip.MustParseAddr("192.0.2.11"), Weight: 1}}
	web2 := []steer.NextHop{{Address: netip.MustParseAddr("192.0.2.12"), Weight: 1}}
	six := []steer.NextHop{{Address: netip.MustParseAddr("2001:db8::12"), Weight: 1}}
	type wants map[netip.Prefix]steer.Want
	want := wants{a: {NextHops: web2, Why: "web1 is down"}, b: {NextHops: six, Why: "primary"}}
	for _, situation := range []struct {
		name  string
		want  wants
		have  []steer.Route
		adopt bool
		plan  string
	}{
		{"an empty router gets all, sorted", want, nil, false, "add 203.0.113.32/27 via 192.0.2.12; add 2001:db8:1::/64 via 2001:db8::12"},
		{"what is as wanted is left alone", want, []steer.Route{{Prefix: a, NextHops: web2}, {Prefix: b, NextHops: six}}, false, ""},
		{"another next hop is replaced", want, []steer.Route{{Prefix: a, NextHops: web1}, {Prefix: b, NextHops: six}}, false, "replace 203.0.113.32/27 via 192.0.2.11 -> 192.0.2.12"},
		{"a stray of ours is put right", want, []steer.Route{{Prefix: a, NextHops: web2, Stray: true}, {Prefix: b, NextHops: six}}, false, "replace 203.0.113.32/27 via 192.0.2.12 -> 192.0.2.12"},
		{"two of ours are put right", want, []steer.Route{{Prefix: a, NextHops: web1}, {Prefix: a, NextHops: web2}, {Prefix: b, NextHops: six}}, false, "replace 203.0.113.32/27 via 192.0.2.11 -> 192.0.2.12"},
		{"a foreign route is reported and left alone", want, []steer.Route{{Prefix: a, NextHops: web1, Foreign: true}, {Prefix: b, NextHops: six}}, false, "foreign 203.0.113.32/27"},
		{"a foreign route is adopted where the file says so", want, []steer.Route{{Prefix: a, NextHops: web2, Foreign: true}, {Prefix: b, NextHops: six}}, true, "replace 203.0.113.32/27 via 192.0.2.12 -> 192.0.2.12 adopt"},
		{"what nothing is wanted for stays", wants{a: {}}, []steer.Route{{Prefix: a, NextHops: web1}, {Prefix: b, NextHops: six}}, false, ""},
		{"what is to be withdrawn is removed", wants{a: {Withdraw: true}}, []steer.Route{{Prefix: a, NextHops: web1}}, false, "remove 203.0.113.32/27 via 192.0.2.11"},
		{"a foreign route is not withdrawn", wants{a: {Withdraw: true}}, []steer.Route{{Prefix: a, NextHops: web1, Foreign: true}}, true, ""},
	} {
		t.Run(situation.name, func(t *testing.T) {
			assignment := steer.Assign(cohorts, func(c *steer.Cohort) steer.Want { return situation.want[c.Prefix] })
			plan := steer.Diff(assignment, steer.NewTable(cohorts, situation.have), steer.Terms{Adopt: situation.adopt})
			var words []string
			for _, change := range plan.Changes {
				text := change.String()
				if change.Adopt {
					text += " adopt"
				}
				words = append(words, text)
			}
			for _, route := range plan.Foreign {
				words = append(words, "foreign "+route.Prefix.String())
			}
			if got := strings.Join(words, "; "); got != situation.plan {
				t.Errorf("got  %s\nwant %s", got, situation.plan)
			}
		})
	}
}
