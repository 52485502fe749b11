package steer_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A plain is a Health that sums up nothing.
type plain struct{ steer.Health }

// mixed is a site of which the servers, the policy and maintenance are to be filled in.
const mixed = `
servers: {web1: 192.0.2.11, web2: {addresses: [192.0.2.12, 198.51.100.12]}, web3: %s, web4: {address: 192.0.2.14, weight: %d}, web5: 192.0.2.15}
checks:
  web: {http: {port: 80}, rise: 1, fall: 1}
  own: {tcp: 25, through: address, rise: 1, fall: 2}
  word: {agent: {port: 9}, rise: 1, fall: 1}
  both: {all: [web, own]}
policy: %s
maintenance: %s
vips:
  - {prefix: 203.0.113.0/29, check: web}
  - {prefix: 203.0.113.8/29, check: web, primary: [web1, web2, web3]}
  - {prefix: 203.0.113.16/29, check: own, primary: web2, backup: [web3, web4], failback: manual}
  - {prefix: 203.0.113.24/29, check: own, primary: web4, failback: immediate}
  - {prefix: 203.0.113.32/29, check: word, primary: [web1, web4], mode: ecmp}
  - {prefix: 203.0.113.40/29, check: word, primary: web5, on_all_down: withdraw}
  - {prefix: 203.0.113.48/29, check: both, primary: [web3, web5], failback: {after: 10s}}
  - {prefixes: [203.0.113.56/30, 203.0.113.60/30], check: both, primary: web1}
  - {prefix: 203.0.113.64/29, check: web, primary: web2, failback: {after: 10s, between: "12:00-12:30", time_zone: UTC}}
  - {prefix: 203.0.113.72/29, check: web, primary: [web2, web3, web4], backup: [web1, web5], mode: ecmp, weights: {web3: 5}, failback: {after: 20s, between: "12:00-12:05", time_zone: UTC}}
  - {prefix: 203.0.113.80/29, check: own, primary: [web4, web5], backup: [web1, web2], on_all_down: first_tier}
  - {prefix: 203.0.113.88/29, check: own, primary: [web4, web5], backup: [web1, web2], on_all_down: first_tier}
routers: {edge: {linux: {}}}
`

// differences are what two Assignments of the same cohorts want otherwise.
func differences(a, b steer.Assignment) []string {
	var all []string
	for _, cohort := range b.Changed(a) {
		all = append(all, fmt.Sprintf("%s: %+v and then %+v", cohort.Prefix, a.For(cohort), b.For(cohort)))
	}
	return all
}

// variant is what one reload after another makes of the site.
func variant(t *rapid.T) *topology.Site {
	file := fmt.Sprintf(mixed,
		rapid.SampledFrom([]string{"192.0.2.13", "192.0.2.13", "192.0.2.93"}).Draw(t, "address of web3"),
		rapid.SampledFrom([]int{2, 2, 1, 0}).Draw(t, "weight of web4"),
		rapid.SampledFrom([]string{"{correlated: act}", "{correlated: freeze}", "{max_unavailable: 1}", "{max_unavailable: 40%, correlated: act}", "{witness: 192.0.2.254, correlated: act}"}).Draw(t, "policy"),
		rapid.SampledFrom([]string{"[]", "[]", `[{servers: [web1, web2], at: "daily 12:10", for: 10m, time_zone: UTC}]`}).Draw(t, "maintenance"),
	)
	if rapid.IntRange(0, 4).Draw(t, "without a VIP") == 0 {
		file = strings.Replace(file, "  - {prefix: 203.0.113.8/29, check: web, primary: [web1, web2, web3]}\n", "", 1)
	}
	site, err := topology.Parse("site.yaml", []byte(file))
	if err != nil {
		t.Fatalf("the test's own site is bad:\n%v", err)
	}
	return site
}

// A tale is a story of a site: what is known of it, what was decided last, and what a
// router has.
type tale struct {
	in     steer.Input
	board  *health.Board
	asked  steer.Will
	probes []topology.Probe

	routes   []steer.Route
	terms    steer.Terms
	compared *steer.Comparison // with routes, by in.Cohorts; nil before the first time
}

// TestWhatIsPassedOverDecidesNothing holds that a decision that passes over whoever rests
// is the one that looks at everything, whatever happened before.
func TestWhatIsPassedOverDecidesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &tale{asked: steer.Will{Drained: map[topology.ServerName]string{}, Off: map[steer.Place]string{}, Pins: map[netip.Prefix]steer.Pin{}}}
		s.in.Now = noon
		s.reload(t)
		for _, probe := range s.probes { // stories begin with all well
			for _, server := range probe.Servers {
				s.board.Observe(s.of(probe, server))
			}
		}
		s.in.Previous = steer.Desired(s.input())
		t.Repeat(map[string]func(*rapid.T){
			"result": s.result, "agent": s.listen, "outage": s.suffer, "brought down": s.bringDown, "echo": s.echo, "witness": s.hear,
			"drain": s.drain, "ask of one": s.ask, "word": s.say, "reload": s.reload, "found": s.find, "router": s.router,
			"clone": func(*rapid.T) { s.board = s.board.Clone() },
			"":      s.decide,
		})
	})
}

// input is what a decision is told.
func (s *tale) input() steer.Input {
	in := s.in
	in.Health, in.Will = s.board, s.asked.During(in.Site, in.Now)
	in.Witness.Heard, in.Witness.Since = s.board.Witness()
	return in
}

func (s *tale) decide(t *rapid.T) {
	s.in.Now = s.in.Now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 5 * time.Second, 20 * time.Second, 10 * time.Minute}).Draw(t, "passed"))
	in := s.input()
	all := in
	all.Previous = steer.Assign(in.Cohorts, in.Previous.For) // nobody rests
	want, got := steer.Desired(all), steer.Desired(in)
	if rapid.Bool().Draw(t, "sums up nothing") {
		in.Health = plain{s.board}
		got = steer.Desired(in)
	}
	changed := got.Changed(in.Previous)
	for _, cohort := range in.Cohorts.All() {
		if want, got := want.For(cohort), got.For(cohort); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: got %+v, want %+v", cohort.Prefix, got, want)
		}
		if !slices.Contains(changed, cohort) && !reflect.DeepEqual(got.For(cohort), in.Previous.For(cohort)) {
			t.Fatalf("%s has changed, and does not say so", cohort.Prefix)
		}
	}
	for what, both := range map[string][2]any{
		"frozen": {got.Frozen(), want.Frozen()}, "gone": {got.Gone(), want.Gone()}, "due": {got.NextDue(), want.NextDue()},
		"doubted": {got.Doubted(), want.Doubted()}, "load": {got.Load(), steer.Assign(in.Cohorts, got.For).Load()},
		"kept": {kept(got, got.Awake()), kept(want, in.Cohorts.All())},
	} {
		if !reflect.DeepEqual(both[0], both[1]) {
			t.Fatalf("%s: got %v, want %v", what, both[0], both[1])
		}
	}
	in.Previous, in.Now = got, in.Now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 9 * time.Second, time.Minute, time.Hour}).Draw(t, "nothing happens for"))
	if due := got.NextDue(); due.IsZero() || in.Now.Before(due) {
		if later := steer.Desired(in); !later.SameRoutes(got) {
			t.Fatalf("at %s, when nothing is due before %s, others are wanted: %v", in.Now, due, differences(got, later))
		}
	}
	former := s.in.Previous
	s.in.Previous = got
	for _, next := range []steer.Assignment{got, former, got} {
		s.compare(t, next)
	}
}

// compare holds that a Comparison says the same as one that looks at everything.
func (s *tale) compare(t *rapid.T, next steer.Assignment) {
	if next.Cohorts() != s.in.Cohorts {
		return
	}
	table := steer.NewTable(s.in.Cohorts, s.routes)
	if s.compared == nil {
		s.compared = steer.Compare(table, s.terms)
	}
	want, got := steer.Diff(next, table, s.terms), s.compared.With(next)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("a comparison finds\n%+v, and one from the beginning\n%+v", got, want)
	}
}

// router has a router have other routes: as wanted, or not.
func (s *tale) router(t *rapid.T) {
	s.terms = steer.Terms{Adopt: rapid.Bool().Draw(t, "adopt"), Even: rapid.Bool().Draw(t, "even")}
	s.routes, s.compared = nil, nil
	for _, vip := range s.in.Site.VIPs {
		route := steer.Route{Prefix: vip.Prefix, NextHops: s.terms.NextHops(s.in.Previous.Of(vip.Prefix))}
		switch what := rapid.IntRange(0, 19).Draw(t, "what"); {
		case what == 0 || len(route.NextHops) == 0:
			continue
		case what == 1:
			route.Stray = true
		case what == 2:
			route.NextHops = []steer.NextHop{{Address: netip.MustParseAddr("192.0.2.11"), Weight: 1}}
		case what == 3:
			s.routes = append(s.routes, steer.Route{Prefix: vip.Prefix, NextHops: route.NextHops, Foreign: true})
		case what == 4:
			route.Foreign = true
		}
		s.routes = append(s.routes, route)
	}
	steer.SortRoutes(s.routes)
}

// kept are those of some cohorts that stay where an outage left them.
func kept(a steer.Assignment, some []*steer.Cohort) (kept []netip.Prefix) {
	for _, cohort := range some {
		if a.For(cohort).Cause == steer.KeptDown {
			kept = append(kept, cohort.Prefix)
		}
	}
	return kept
}

func (s *tale) result(t *rapid.T) {
	probe := rapid.SampledFrom(s.probes).Draw(t, "probe")
	r := s.of(probe, rapid.SampledFrom(probe.Servers).Draw(t, "server"))
	r.Failure = rapid.SampledFrom([]string{"", "", "timeout"}).Draw(t, "failure")
	s.board.Observe(r)
}

// of is the result of a check that passed.
func (s *tale) of(probe topology.Probe, server topology.ServerName) health.Result {
	return health.Result{Target: health.Target{Server: server, VIP: probe.VIP.Prefix, Member: probe.Member}, Started: s.in.Now}
}

// suffer has most servers fail all checks at once, or pass them again.
func (s *tale) suffer(t *rapid.T) {
	failure := rapid.SampledFrom([]string{"", "timeout"}).Draw(t, "failure")
	servers := rapid.SliceOfNDistinct(rapid.SampledFrom(s.in.Site.Servers), 3, 5, func(s topology.Server) topology.ServerName { return s.Name }).Draw(t, "servers")
	for _, probe := range s.probes {
		for _, server := range servers {
			if !slices.Contains(probe.Servers, server.Name) {
				continue
			}
			r := s.of(probe, server.Name)
			for r.Failure = failure; s.board.State(r.Target).Verdict != verdictOf(r); {
				s.board.Observe(r)
			}
		}
	}
}

// verdictOf is what enough results of the kind come to.
func verdictOf(r health.Result) health.Verdict {
	if r.OK() {
		return health.Up
	}
	return health.Down
}

// listen hears what a server asks for itself.
func (s *tale) listen(t *rapid.T) {
	probe := s.probes[slices.IndexFunc(s.probes, func(p topology.Probe) bool { return p.Check.Agent != nil })]
	r := s.of(probe, rapid.SampledFrom(probe.Servers).Draw(t, "server"))
	r.Said = &health.Said{Leave: rapid.IntRange(0, 3).Draw(t, "leave") == 0, Stay: true}
	if rapid.Bool().Draw(t, "weighs") {
		r.Said.Weighs, r.Said.Percent = true, rapid.SampledFrom([]int{0, 30, 100}).Draw(t, "percent")
	}
	if rapid.Bool().Draw(t, "before a move") {
		s.board.Heed(r)
	} else {
		s.board.Observe(r)
	}
}

func (s *tale) bringDown(t *rapid.T) {
	judge := rapid.SampledFrom(s.in.Site.Judges()).Draw(t, "judge")
	s.board.BringDown(health.Target{Server: rapid.SampledFrom(judge.Servers).Draw(t, "server"), VIP: judge.VIP.Prefix}, s.in.Now, "failed the proof")
}

func (s *tale) echo(t *rapid.T) {
	server := rapid.SampledFrom(s.in.Site.Servers).Draw(t, "server")
	address := rapid.SampledFrom(server.Addresses).Draw(t, "address")
	if rapid.Bool().Draw(t, "lost") {
		s.board.Observe(health.Loss{Server: server.Name, Address: address, At: s.in.Now, Failure: "no reply"})
	} else {
		s.board.Observe(health.Found{Server: server.Name, Address: address, At: s.in.Now, ByLink: rapid.Bool().Draw(t, "by link")})
	}
}

func (s *tale) hear(*rapid.T) {
	s.board.Observe(health.Heard{Address: netip.MustParseAddr("192.0.2.254"), Asked: s.in.Now})
}

func (s *tale) drain(t *rapid.T) {
	name := rapid.SampledFrom(s.in.Site.Servers).Draw(t, "server").Name
	if s.asked.Drained[name] == "" {
		s.asked.Drained[name] = "drained"
	} else {
		delete(s.asked.Drained, name)
	}
}

// ask asks something of one VIP, or no longer.
func (s *tale) ask(t *rapid.T) {
	vip := rapid.SampledFrom(s.in.Site.VIPs).Draw(t, "vip")
	place := steer.Place{Server: rapid.SampledFrom(vip.Servers()).Draw(t, "server"), VIP: vip.Entry}
	_, pinned := s.asked.Pins[vip.Entry]
	switch off := s.asked.Off[place] != ""; {
	case off:
		delete(s.asked.Off, place)
	case pinned:
		delete(s.asked.Pins, vip.Entry)
	case rapid.Bool().Draw(t, "pin"):
		s.asked.Pins[vip.Entry] = steer.Pin{Server: place.Server, Force: rapid.Bool().Draw(t, "force")}
	default:
		s.asked.Off[place] = "drained of it"
	}
	s.regroup()
}

// regroup sorts VIPs into cohorts anew if something is asked of others, as the controller
// does.
func (s *tale) regroup() {
	if divided := s.in.Cohorts.Divide(s.asked.Apart()...); divided != s.in.Cohorts {
		s.in.Cohorts, s.compared = divided, nil
	}
}

// say is an operator's word about traffic that failures moved, or that is to return.
func (s *tale) say(t *rapid.T) {
	place := steer.Place{Server: rapid.SampledFrom(s.in.Site.Servers).Draw(t, "server").Name}
	switch rapid.IntRange(0, 3).Draw(t, "word") {
	case 0:
		s.asked.Resumed = s.in.Now
	case 1:
		s.asked.Recalled.Add(place, s.in.Now)
	case 2:
		s.asked.Hurried.Add(place, s.in.Now)
	default:
		s.asked.Recalled, s.asked.Hurried = steer.Recall{}, steer.Recall{}
	}
}

func (s *tale) reload(t *rapid.T) {
	s.in.Site = variant(t)
	s.in.Cohorts, s.compared = steer.NewCohorts(s.in.Site, s.asked.Apart()...), nil
	s.probes, _ = s.in.Site.Probes()
	if s.board == nil {
		s.board = health.NewBoard(s.in.Site)
	}
	s.board.SetSite(s.in.Site)
}

// find has routes adopted that somebody made, for some VIPs.
func (s *tale) find(t *rapid.T) {
	var routes []steer.Route
	for _, vip := range s.in.Site.VIPs {
		server := rapid.SampledFrom(s.in.Site.Servers).Draw(t, "server")
		routes = append(routes, steer.Route{Prefix: vip.Prefix, NextHops: []steer.NextHop{{Address: rapid.SampledFrom(server.Addresses).Draw(t, "address"), Weight: 1}}})
	}
	found := steer.Adopt(s.in.Cohorts, steer.NewTable(s.in.Cohorts, routes))
	adopted := map[*steer.Cohort]steer.Want{}
	for _, cohort := range s.in.Cohorts.All() {
		if rapid.Bool().Draw(t, "adopted") {
			adopted[cohort] = found.For(cohort)
		}
	}
	s.in.Previous = s.in.Previous.Replace(s.in.Cohorts, adopted)
}

// TestConnectionsMayStayAtAnAddressThatIsBack has one address of a server come back while
// another server's is lost.
// Else a site that every server of was once rebooted would be decided as a whole for ever.
func TestWhoHasBeenElsewhereRestsAgain(t *testing.T) {
	s := site(t, article)
	in := steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Now: noon}
	for _, believed := range []string{"", "web1 down", ""} {
		in.Health, _ = believe(t, s, believed)
		in.Previous = steer.Desired(in)
		in.Now = in.Now.Add(time.Hour)
	}
	in.Previous = steer.Desired(in)
	for _, cohort := range in.Previous.Awake() {
		t.Errorf("%s does not rest: %+v", cohort.Prefix, in.Previous.For(cohort))
	}
}

func TestConnectionsMayStayAtAnAddressThatIsBack(t *testing.T) {
	s := site(t, `
servers: {web1: {addresses: [192.0.2.11, 198.51.100.11]}, web2: 192.0.2.12}
vips: [{prefix: 203.0.113.1, primary: web1, backup: web2}]
routers: {edge: {linux: {}}}
`)
	all := s.Servers[0].Addresses
	known, _ := believe(t, s, "")
	in := steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Health: known, Now: noon}
	for _, lost := range [][]netip.Addr{nil, all[1:], s.Servers[1].Addresses} {
		clear(known.lost)
		for _, address := range lost {
			known.lost[address] = true
		}
		in.Previous = steer.Desired(in)
	}
	if got := in.Previous.Of(s.VIPs[0].Prefix).Keep; !slices.Equal(got, all) {
		t.Errorf("connections may stay at %v, want %v", got, all)
	}
}
