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

const twoCards = `
servers: {web1: {addresses: [192.0.2.11, 198.51.100.11]}, web2: 192.0.2.12}
vips: [{prefix: 203.0.113.1, primary: web1}]
routers: {edge: {linux: {}}}
`

var card1, card2 = netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("198.51.100.11")

// A timeline decides for one VIP again and again, each time from what it wanted
// before.
type timeline struct {
	in      steer.Input
	beliefs beliefs
	vip     topology.VIP
}

func newTimeline(s *topology.Site, b beliefs) *timeline {
	b.lost, b.well = map[netip.Addr]bool{}, map[netip.Addr]time.Time{}
	return &timeline{in: steer.Input{Site: s, Health: b, Now: noon}, beliefs: b, vip: s.VIPs[0]}
}

func (l *timeline) lose(a netip.Addr) { l.beliefs.lost[a] = true }
func (l *timeline) find(a netip.Addr) {
	if l.beliefs.lost[a] {
		delete(l.beliefs.lost, a)
		l.beliefs.well[a] = l.in.Now
	}
}

func (l *timeline) later(d time.Duration) { l.in.Now = l.in.Now.Add(d) }

// decide returns what is wanted now.
func (l *timeline) decide() steer.Want {
	l.in.Previous = steer.Desired(l.in)
	return l.in.Previous.Of(l.vip.Prefix)
}

func hop(w steer.Want) netip.Addr { return w.NextHops[0].Address }

func TestTheNextHopReturnsByTheFailbackPolicy(t *testing.T) {
	for policy, want := range map[string]string{
		"immediate":    "first 0s, why: web1 is primary",
		"{after: 30s}": "first 30s, why: web1 is primary; web1 is reached by 198.51.100.11: 192.0.2.11 is back, and gets its traffic once it has been well for 30s",
		"manual":       "never, why: web1 is primary; web1 is reached by 198.51.100.11: 192.0.2.11 is back; failback is manual",
		"never":        "never, why: web1 is primary; web1 is reached by 198.51.100.11: 192.0.2.11 is back; failback is never",
	} {
		t.Run(policy, func(t *testing.T) {
			s := site(t, twoCards+"policy: {failback: "+policy+"}\n")
			b, _ := believe(t, s, "")
			l := newTimeline(s, b)
			l.decide()
			l.lose(card1)
			gone := l.decide()
			if why := "web1 is primary; web1 is reached by 198.51.100.11: 192.0.2.11 is lost"; hop(gone) != card2 || gone.Reason() != why {
				t.Fatalf("the first card is lost: %s, %s; want %s", hop(gone), gone.Reason(), why)
			}
			l.later(time.Hour)
			l.find(card1)
			found := l.decide()
			got := "never"
			for waited := time.Duration(0); waited <= time.Hour; waited += time.Second {
				if hop(l.decide()) == card1 {
					got = "first " + waited.String()
					break
				}
				l.later(time.Second)
			}
			got += ", why: " + found.Reason()
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if due := found.Next; policy == "{after: 30s}" && due != noon.Add(time.Hour+30*time.Second) {
				t.Errorf("it decides again at %s", due)
			}
		})
	}
}

func TestAnUndrainBringsTheNextHopBackToo(t *testing.T) {
	s := site(t, twoCards+"policy: {failback: manual}\n")
	b, _ := believe(t, s, "")
	l := newTimeline(s, b)
	l.decide()
	l.lose(card1)
	l.decide()
	l.find(card1)
	l.in.Recalled = recalled(noon, "web1")
	if got := l.decide(); hop(got) != card1 || got.Path != "" {
		t.Errorf("got %s, %q", hop(got), got.Path)
	}
}

func TestACardThatFlapsMovesTheNextHopOnce(t *testing.T) {
	s := site(t, twoCards)
	b, _ := believe(t, s, "")
	l := newTimeline(s, b)
	moves, last := 0, hop(l.decide())
	for range 1000 { // a second lost, 59 well: never well for a minute
		for _, step := range []func(netip.Addr){l.lose, l.find} {
			step(card1)
			if now := hop(l.decide()); now != last {
				moves, last = moves+1, now
			}
			l.later(time.Second)
		}
		l.later(58 * time.Second)
	}
	if moves != 1 || last != card2 {
		t.Errorf("%d moves in 1000 flaps, at last to %s; want 1", moves, last)
	}
}

// drawCards draws a server of several addresses, with one VIP, and its policy.
func drawCards(t *rapid.T) *timeline {
	s := &topology.Site{File: "drawn"}
	server := topology.Server{Name: "web1", Weight: 1}
	for i := range rapid.IntRange(2, 4).Draw(t, "cards") {
		server.Addresses = append(server.Addresses, netip.AddrFrom4([4]byte{192, 0, byte(i), 11}))
	}
	s.Servers = []topology.Server{server}
	s.VIPs = []topology.VIP{{
		Prefix: vip4, Entry: vip4, Judge: vip4, Mode: topology.Single, OnAllDown: topology.Keep,
		Tiers: []topology.Tier{{Name: "primary", Servers: []topology.ServerName{"web1"}}},
		Failback: topology.Failback{
			Mode:  rapid.SampledFrom([]topology.FailbackMode{topology.FailbackAfter, topology.FailbackAfter, topology.FailbackImmediate, topology.FailbackManual, topology.FailbackNever}).Draw(t, "failback"),
			After: time.Minute,
		},
	}}
	b := beliefs{states: map[health.Target]health.State{{Server: "web1", VIP: vip4}: {Verdict: health.Up, Since: noon}}}
	return newTimeline(s, b)
}

var vip4 = netip.MustParsePrefix("203.0.113.1/32")

func TestTheNextHopIsLeftWhenLostAndReturnsOnlyByPolicy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawCards(t)
		cards, policy := l.in.Site.Servers[0].Addresses, l.vip.Failback
		began, last, returns := l.in.Now, hop(l.decide()), 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			l.later(time.Duration(rapid.IntRange(0, 90).Draw(t, "pause")) * time.Second)
			card := rapid.SampledFrom(cards).Draw(t, "card")
			if rapid.Bool().Draw(t, "lost") {
				l.lose(card)
			} else {
				l.find(card)
			}
			want := l.decide()
			now := hop(want)
			well := slices.ContainsFunc(cards, func(a netip.Addr) bool { return !l.beliefs.lost[a] })
			from, to := slices.Index(cards, last), slices.Index(cards, now)
			returned := now != last && !l.beliefs.lost[last]
			switch {
			case well && l.beliefs.lost[now]:
				t.Fatalf("it uses %s, which is lost, while another is well", now)
			case !well && now != last:
				t.Fatalf("it moved from %s to %s, and both are lost", last, now)
			case returned && to > from:
				t.Fatalf("it left %s, which is well, for %s, which is no better", last, now)
			case returned && policy.Mode == topology.FailbackAfter && l.in.Now.Sub(l.beliefs.well[now]) < policy.After:
				t.Fatalf("%s got its traffic back after %s", now, l.in.Now.Sub(l.beliefs.well[now]))
			case returned && (policy.Mode == topology.FailbackManual || policy.Mode == topology.FailbackNever):
				t.Fatalf("failback is %s, and traffic returned from %s to %s", policy.Mode, last, now)
			case (to == 0) != (want.Path == ""):
				t.Fatalf("it uses address %d, and says %q", to, want.Path)
			}
			if returned {
				returns++
			}
			last = now
		}
		most := int(l.in.Now.Sub(began)/policy.After+1) * (len(cards) - 1)
		if policy.Mode == topology.FailbackAfter && returns > most {
			t.Fatalf("%d returns in %s, want at most %d", returns, l.in.Now.Sub(began), most)
		}
	})
}

func TestEachMemberOfATierHasItsOwnPath(t *testing.T) {
	s := site(t, `
servers: {web1: {addresses: [192.0.2.11, 198.51.100.11]}, web2: {addresses: [192.0.2.12, 198.51.100.12]}}
vips: [{prefix: 203.0.113.1, primary: [web1, web2], mode: ecmp}]
routers: {edge: {linux: {}}}
`)
	b, _ := believe(t, s, "")
	l := newTimeline(s, b)
	l.decide()
	l.lose(card1)
	if got, want := steer.FormatNextHops(l.decide().NextHops), "192.0.2.12, 198.51.100.11"; got != want {
		t.Errorf("next hops %s, want %s", got, want)
	}
	l.find(card1)
	l.lose(netip.MustParseAddr("192.0.2.12"))
	l.later(59 * time.Second)
	want := l.decide()
	if got := fmt.Sprint(steer.FormatNextHops(want.NextHops), " ", strings.Count(want.Path, "is reached by")); got != "198.51.100.11, 198.51.100.12 2" {
		t.Errorf("got %s: %s", got, want.Path)
	}
	l.later(time.Second)
	if got, want := steer.FormatNextHops(l.decide().NextHops), "192.0.2.11, 198.51.100.12"; got != want {
		t.Errorf("next hops %s, want %s", got, want)
	}
}

// TestAFoundDetourEndsThoughNothingIsKnownAtFirst: a controller finds the traffic at the
// second card, and the first one is well.
func TestAFoundDetourEndsThoughNothingIsKnownAtFirst(t *testing.T) {
	s := site(t, twoCards+"policy: {failback: immediate}\n")
	b, _ := believe(t, s, "web1 unknown")
	l := newTimeline(s, b)
	l.in.Cohorts = steer.NewCohorts(s)
	found := steer.NewTable(l.in.Cohorts, []steer.Route{{Prefix: l.vip.Prefix, NextHops: []steer.NextHop{{Address: card2, Weight: 1}}}})
	l.in.Previous = steer.Adopt(l.in.Cohorts, found)
	if got := l.decide(); hop(got) != card2 {
		t.Fatalf("nothing is known, and it goes to %s", hop(got))
	}
	b.states[health.Target{Server: "web1", VIP: l.vip.Judge}] = health.State{Verdict: health.Up, Since: noon}
	if got := l.decide(); hop(got) != card1 || got.Path != "" {
		t.Errorf("web1 is up, and it goes to %s: %s", hop(got), got.Reason())
	}
}
