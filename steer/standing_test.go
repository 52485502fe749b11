package steer_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A plain is a Health that sums up nothing.
type plain struct{ steer.Health }

const mixed = `
servers: {web1: 192.0.2.11, web2: {addresses: [192.0.2.12, 198.51.100.12]}, web3: 192.0.2.13, web4: {address: 192.0.2.14, weight: 2}, web5: 192.0.2.15}
checks:
  web: {http: {port: 80}, rise: 1, fall: 1}
  own: {tcp: 25, through: address, rise: 1, fall: 2}
  word: {agent: {port: 9}, rise: 1, fall: 1}
  both: {all: [web, own]}
vips:
  - {prefix: 203.0.113.0/29, check: web}
  - {prefix: 203.0.113.8/29, check: web, primary: [web1, web2, web3]}
  - {prefix: 203.0.113.16/29, check: own, primary: web2, backup: [web3, web4], failback: manual}
  - {prefix: 203.0.113.24/29, check: own, primary: web4, failback: immediate}
  - {prefix: 203.0.113.32/29, check: word, primary: [web1, web4], mode: ecmp}
  - {prefix: 203.0.113.40/29, check: word, primary: web5, on_all_down: withdraw}
  - {prefix: 203.0.113.48/29, check: both, primary: [web3, web5], failback: {after: 10s}}
  - {prefixes: [203.0.113.56/30, 203.0.113.60/30], check: both, primary: web1}
routers: {edge: {linux: {}}}
`

// TestWhatIsSummedUpDecidesNothing holds that a decision by a Board's standings is the
// one that looks at every verdict, whatever happened before.
func TestWhatIsSummedUpDecidesNothing(t *testing.T) {
	s := site(t, mixed)
	probes, _ := s.Probes()
	rapid.Check(t, func(t *rapid.T) {
		board, now := health.NewBoard(s), noon
		in := steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Health: board}
		var addresses []netip.Addr
		for _, server := range s.Servers {
			addresses = append(addresses, server.Addresses...)
		}
		in.Drained = map[topology.ServerName]string{}
		for _, probe := range probes { // most stories begin with all well
			for _, server := range probe.Servers {
				board.Observe(health.Result{Target: health.Target{Server: server, VIP: probe.VIP.Prefix, Member: probe.Member}, Started: now})
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"result": func(t *rapid.T) {
				probe := rapid.SampledFrom(probes).Draw(t, "probe")
				r := health.Result{Target: health.Target{Server: rapid.SampledFrom(probe.Servers).Draw(t, "server"), VIP: probe.VIP.Prefix, Member: probe.Member}, Started: now}
				r.Failure = rapid.SampledFrom([]string{"", "", "timeout"}).Draw(t, "failure")
				if probe.Check.Agent != nil && r.OK() {
					leave := rapid.Bool().Draw(t, "leave")
					r.Said = &health.Said{Leave: leave, Stay: !leave}
				}
				if rapid.Bool().Draw(t, "before a move") {
					board.Heed(r)
				} else {
					board.Observe(r)
				}
			},
			"brought down": func(t *rapid.T) {
				probe := rapid.SampledFrom(s.Judges()).Draw(t, "judge")
				board.BringDown(health.Target{Server: rapid.SampledFrom(probe.Servers).Draw(t, "server"), VIP: probe.VIP.Prefix}, now, "failed the proof")
			},
			"echo": func(t *rapid.T) {
				address := rapid.SampledFrom(addresses).Draw(t, "address")
				owner := steer.Owners(s)[address]
				if rapid.Bool().Draw(t, "lost") {
					board.Observe(health.Loss{Server: owner, Address: address, At: now, Failure: "no reply"})
				} else {
					board.Observe(health.Found{Server: owner, Address: address, At: now})
				}
			},
			"drain": func(t *rapid.T) {
				name := rapid.SampledFrom(s.Servers).Draw(t, "server").Name
				if in.Drained[name] == "" {
					in.Drained[name] = "drained"
				} else {
					delete(in.Drained, name)
				}
			},
			"reload": func(*rapid.T) { board.SetSite(s) },
			"clone":  func(*rapid.T) { board = board.Clone(); in.Health = board },
			"": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
				in.Now = now
				slow := in
				slow.Health = plain{board}
				want, got := steer.Desired(slow), steer.Desired(in)
				for _, cohort := range in.Cohorts.All() {
					if want, got := want.For(cohort), got.For(cohort); !reflect.DeepEqual(got, want) {
						t.Fatalf("%s: got %+v, want %+v", cohort.Prefix, got, want)
					}
				}
				if want.Frozen() != got.Frozen() {
					t.Fatalf("frozen: got %q, want %q", got.Frozen(), want.Frozen())
				}
				in.Previous = got
			},
		})
	})
}
