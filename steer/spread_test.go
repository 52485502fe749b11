package steer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A pooled is a site where any server can take any VIP, and traffic returns at
// once.
type pooled struct {
	*rapid.T
	in   steer.Input
	all  []topology.ServerName
	gone map[topology.ServerName]bool
}

func drawPooled(t *rapid.T) *pooled {
	p := &pooled{T: t, gone: map[topology.ServerName]bool{}}
	p.in = steer.Input{Site: wideSite(rapid.IntRange(2, 10).Draw(t, "servers"), 120, 120, 1), Health: beliefs{states: map[health.Target]health.State{}}, Now: noon}
	for i := range p.in.Site.Servers {
		server := &p.in.Site.Servers[i]
		server.Weight = rapid.IntRange(1, 4).Draw(t, "weight")
		p.all = append(p.all, server.Name)
	}
	for i := range p.in.Site.VIPs {
		vip := &p.in.Site.VIPs[i]
		vip.Tiers, vip.Failback.Mode = []topology.Tier{{Name: "primary", Servers: p.all}}, topology.FailbackImmediate
	}
	p.in.Cohorts = steer.NewCohorts(p.in.Site)
	for _, name := range p.all {
		p.set(name, health.Up)
	}
	p.in.Previous = steer.Desired(p.in)
	return p
}

func (p *pooled) set(name topology.ServerName, verdict health.Verdict) {
	for _, vip := range p.in.Site.VIPs {
		p.in.Health.(beliefs).states[health.Target{Server: name, VIP: vip.Judge}] = health.State{Verdict: verdict, Since: noon}
	}
}

// turn loses servers, or has them back, all at once, and holds that those VIPs
// move that must, and no other.
func (p *pooled) turn(verdict health.Verdict, must func(*steer.Cohort, topology.ServerName) bool, names ...topology.ServerName) {
	for _, name := range names {
		p.set(name, verdict)
		p.gone[name] = verdict == health.Down
	}
	before := p.in.Previous
	p.in.Previous = steer.Desired(p.in)
	for _, vip := range p.in.Cohorts.All() {
		was, now := before.For(vip).Servers[0], p.in.Previous.For(vip).Servers[0]
		if moved := was != now; moved != must(vip, was) {
			p.Fatalf("%v are %s, and %s is with %s after %s", names, verdict, vip.Prefix, now, was)
		}
	}
}

// bounded holds that no server has more than 1.25 times its share of the VIPs, and
// one.
func (p *pooled) bounded() {
	total, count := 0, map[topology.ServerName]int{}
	for _, server := range p.in.Site.Servers {
		if !p.gone[server.Name] {
			total += server.Weight
		}
	}
	for _, vip := range p.in.Cohorts.All() {
		count[p.in.Previous.For(vip).Servers[0]]++
	}
	for _, server := range p.in.Site.Servers {
		if most := 1.25*float64(len(p.in.Site.VIPs)*server.Weight)/float64(total) + 1; float64(count[server.Name]) > most {
			p.Fatalf("%s carries %d VIPs, more than %.1f", server.Name, count[server.Name], most)
		}
	}
}

// TestOrphansSpreadHoweverServersLeaveAndReturn loses servers one after the other
// or several at once, and has them back in any order: only the VIPs of who is lost
// move, and no survivor gets much more than its share; when a server returns, just
// the VIPs whose home it is go there. So what all come to at the end is the same,
// whatever the order. While some are still away, it need not be: where a loss found
// a server full is where its VIPs stay, because nothing else may move.
func TestOrphansSpreadHoweverServersLeaveAndReturn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPooled(t)
		p.bounded()
		home := p.in.Previous
		lost := rapid.SliceOfNDistinct(rapid.SampledFrom(p.all), 1, len(p.all)-1, rapid.ID).Draw(t, "lost")
		for rest := lost; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "at once")
			p.turn(health.Down, func(_ *steer.Cohort, was topology.ServerName) bool { return slices.Contains(rest[:n], was) }, rest[:n]...)
			p.bounded()
			rest = rest[n:]
		}
		for _, back := range rapid.Permutation(lost).Draw(t, "back") {
			p.turn(health.Up, func(vip *steer.Cohort, _ topology.ServerName) bool { return home.For(vip).Servers[0] == back }, back)
		}
		for _, vip := range p.in.Cohorts.All() {
			if was, now := home.For(vip).Servers, p.in.Previous.For(vip).Servers; !slices.Equal(was, now) {
				t.Fatalf("all are back, and %s is with %v, after %v", vip.Prefix, now, was)
			}
		}
	})
}

// TestTheOrderOfTheFileMakesNoDifference shuffles the servers, the VIPs and the
// members of tiers of a file.
func TestTheOrderOfTheFileMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var servers, vips []string
		for i := range rapid.IntRange(2, 8).Draw(t, "servers") {
			servers = append(servers, fmt.Sprintf("web%d", i+1))
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "vips") {
			vips = append(vips, fmt.Sprintf("10.64.0.%d/32", i))
		}
		lost := topology.ServerName(rapid.SampledFrom(servers).Draw(t, "lost"))
		decide := func(servers, vips []string) string {
			var text strings.Builder
			text.WriteString("servers:\n")
			for _, name := range servers {
				fmt.Fprintf(&text, "  %s: 192.0.2.%s\n", name, name[3:])
			}
			text.WriteString("vips:\n")
			for _, prefix := range vips {
				fmt.Fprintf(&text, "  - {prefix: %s, primary: [%s]}\n", prefix, strings.Join(servers, ", "))
			}
			text.WriteString("routers: {edge: {linux: {}}}\n")
			s, err := topology.Parse("shuffled.yaml", []byte(text.String()))
			if err != nil {
				t.Fatal(err)
			}
			in := steer.Input{Site: s, Health: beliefs{states: map[health.Target]health.State{}}, Now: noon}
			for _, vip := range s.VIPs {
				for _, name := range vip.Servers() {
					in.Health.(beliefs).states[health.Target{Server: name, VIP: vip.Judge}] = health.State{Verdict: health.Up, Since: noon}
				}
			}
			in.Previous = steer.Desired(in)
			for _, vip := range s.VIPs {
				in.Health.(beliefs).states[health.Target{Server: lost, VIP: vip.Judge}] = health.State{Verdict: health.Down, Since: noon}
			}
			return describe(s, steer.Desired(in))
		}
		want := decide(servers, vips)
		got := decide(rapid.Permutation(servers).Draw(t, "servers shuffled"), rapid.Permutation(vips).Draw(t, "vips shuffled"))
		if got != want {
			t.Fatalf("shuffled:\n%s\nas it was:\n%s", got, want)
		}
	})
}
