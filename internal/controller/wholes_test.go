package controller_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

const severalFile = `
servers: {web1: {addresses: [192.0.2.11, 198.51.100.11]}, web2: 192.0.2.12}
checks:
  web: {http: , rise: 1, fall: 1}
  dns: {dns: www.example.com, rise: 1, fall: 1}
  health: {agent: 8081, through: address, rise: 1, fall: 1}
  site: {all: [web, dns, health]}
vips:
  - {prefix: 203.0.113.32/27, check: site, primary: web1, backup: web2, failback: immediate}
  - {prefix: 203.0.113.64/27, check: site, primary: web2, backup: web1, failback: immediate}
routers: {edge: {linux: {}}, core: {linux: {table: 100}}}
`

func member(server topology.ServerName, vip netip.Prefix, name topology.CheckName) health.Target {
	return health.Target{Server: server, VIP: vip, Member: name}
}

// tellMembers sends one result of everything that is probed.
func (s *senses) tellMembers() {
	s.mu.Lock()
	site := s.site
	s.mu.Unlock()
	probes, _ := site.Probes()
	for _, probe := range probes {
		for _, server := range probe.Servers {
			target := member(server, probe.VIP.Prefix, probe.Member)
			s.news <- health.Result{Target: target, Started: time.Now(), Failure: s.ill[target]}
		}
	}
	synctest.Wait()
}

// TestACheckOfSeveralSteersByItsMembers goes through a failure of one member, as an
// operator sees it.
func TestACheckOfSeveralSteersByItsMembers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = severalFile
		w.start()
		defer w.stop()
		w.senses.tellMembers()
		if got := w.status().VIPs[0].Wanted; !slices.Equal(got, []string{"web1"}) {
			t.Fatalf("wanted at %v", got)
		}
		w.senses.ill[member("web1", vip1, "dns")] = "rcode SERVFAIL, want NOERROR"
		w.senses.tellMembers()
		status := w.status()
		if got := status.VIPs[0].Wanted; !slices.Equal(got, []string{"web2"}) {
			t.Errorf("with its name server ill: wanted at %v, want web2", got)
		}
		target := status.Servers[0].Targets[0]
		if want := "dns: rcode SERVFAIL, want NOERROR"; target.Health != "down" || target.Why != want || target.Check != "site" {
			t.Errorf("target is %+v, want down because %q", target, want)
		}
		if target.Damping != 0 || !target.UpAt.After(target.LastCheck) || target.UpAt.Sub(target.LastCheck) > 2*time.Second {
			t.Errorf("damped %d times, up at %s after a check at %s", target.Damping, target.UpAt, target.LastCheck)
		}
		if well := status.Servers[0].Targets[1]; well.Damping != 0 || !well.UpAt.IsZero() {
			t.Errorf("the other VIP is damped %d times, up at %s", well.Damping, well.UpAt)
		}
		var members []string
		for _, m := range target.Members {
			members = append(members, m.Check+" "+m.Health)
		}
		if want := []string{"web up", "dns down", "health up"}; !slices.Equal(members, want) {
			t.Errorf("members %q, want %q", members, want)
		}
		// The agent, of which there is one for both VIPs, takes the server down for both.
		w.senses.ill[member("web2", vip1, "health")] = "the agent says down"
		w.senses.tellMembers()
		for _, shown := range w.status().Servers[1].Targets {
			if shown.Health != "down" {
				t.Errorf("web2 is %s for %s", shown.Health, shown.VIP)
			}
		}
		var told []string
		for event, err := range w.control.Events(t.Context(), api.EventsRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Kind == "verdict" && event.To == "down" {
				told = append(told, fmt.Sprintf("%s %s: %s", event.Server, event.VIP, event.Reason))
			}
		}
		want := []string{
			"web1 203.0.113.32/27: dns: rcode SERVFAIL, want NOERROR",
			"web2 203.0.113.32/27: health: the agent says down", "web2 203.0.113.64/27: health: the agent says down",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told\n%q\nwant\n%q", told, want)
		}
	})
}

// TestMembersAreCheckedAsOftenAsAnyOfTheirVIPsNeeds holds the paces and the paths
// of what is checked for several VIPs.
func TestMembersAreCheckedAsOftenAsAnyOfTheirVIPsNeeds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = severalFile
		w.start()
		defer w.stop()
		w.senses.tellMembers()
		w.senses.tellMembers()
		w.senses.mu.Lock()
		defer w.senses.mu.Unlock()
		for target, want := range map[health.Target]health.Pace{
			member("web1", vip1, "web"):    health.Regular, // it carries the VIP
			member("web1", vip2, "web"):    health.Slow,
			member("web1", vip1, "health"): health.Regular,
			member("web2", vip2, "dns"):    health.Regular,
			member("web2", vip1, "dns"):    health.Slow,
			member("web2", vip1, "health"): health.Regular, // for the other VIP's sake
		} {
			if got, told := w.senses.paces[target]; !told || got != want {
				t.Errorf("%v at pace %d, want %d", target, got, want)
			}
		}
		for target := range w.senses.paces {
			if target.Member == "" {
				t.Errorf("the senses are told of %v, which they do not check", target)
			}
		}
		if got, want := w.senses.inUse[member("web1", vip1, "dns")], netip.MustParseAddr("192.0.2.11"); got != want {
			t.Errorf("dns of web1 is checked by %s, want %s", got, want)
		}
	})
}

func TestADrainProvesAllMembersOfAStandby(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = severalFile
		w.start()
		defer w.stop()
		w.senses.tellMembers()
		w.senses.mu.Lock()
		w.senses.ill[member("web2", vip1, "health")] = "connection refused"
		w.senses.mu.Unlock()
		results, err := w.control.Check(t.Context(), "web2")
		if err != nil || len(results) != 2 || results[0].Failure != "health: connection refused" || results[0].Check != "site" {
			t.Errorf("check of web2: %+v, %v", results, err)
		}
		_, err = w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
		if err == nil || !strings.Contains(err.Error(), "web1 is not drained") {
			t.Errorf("drain of web1: %v, want a refusal", err)
		}
		if got := w.status().Servers[1].Health; got != "down" {
			t.Errorf("web2 is %s after the proof", got)
		}
	})
}

// TestAProofThatFailsSpeaksAgainstTheMembersThatDid has a standby fail one member of a
// VIP's check; another one, which passes, is of another VIP's check, too.
func TestAProofThatFailsSpeaksAgainstTheMembersThatDid(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = severalFile
		w.start()
		defer w.stop()
		w.senses.tellMembers()
		w.wantRoutes("edge", w.edge, "web1 web2")
		w.senses.ill[member("web2", vip1, "dns")] = "rcode SERVFAIL, want NOERROR"
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}); err == nil {
			t.Error("web1 is drained, though web2 fails the proof")
		}
		w.later(time.Second)
		w.wantRoutes("edge, after the refusal,", w.edge, "web1 web2")
		if targets := w.status().Servers[1].Targets; targets[0].Health != "down" || targets[1].Health != "up" {
			t.Errorf("web2 is %s for the VIP whose proof it failed, and %s for the other", targets[0].Health, targets[1].Health)
		}
	})
}
