package steer_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// BenchmarkDecide measures deciding anew, and comparing with a router, after
// one of the servers was lost.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []struct{ servers, vips int }{{4, 4}, {2, 1000}, {50, 1000}, {50, 10000}} {
		b.Run(fmt.Sprintf("servers=%d/vips=%d", size.servers, size.vips), func(b *testing.B) {
			in := largeSite(size.servers, size.vips)
			in.Cohorts = steer.NewCohorts(in.Site)
			well := steer.Desired(in)
			have := steer.NewTable(in.Cohorts, routesOf(in.Site, well))
			in.Previous = well
			for _, vip := range in.Site.VIPs {
				in.Health.(beliefs).states[health.Target{Server: "web000", VIP: vip.Judge}] = health.State{Verdict: health.Down, Why: "connection refused"}
			}
			for b.Loop() {
				if plan := steer.Diff(steer.Desired(in), have, steer.Terms{}); len(plan.Changes) == 0 {
					b.Fatal("nothing moves")
				}
			}
		})
	}
}

// BenchmarkDecideMany measures the same of 100,000 VIPs in a thousand entries of a hundred
// prefixes, and 1,000 servers, four to each VIP.
func BenchmarkDecideMany(b *testing.B) {
	const servers, vips, entries = 1000, 100_000, 1000
	b.Run(fmt.Sprintf("servers=%d/vips=%d/entries=%d", servers, vips, entries), func(b *testing.B) {
		benchmarkLoss(b, wideSite(servers, vips, entries, 4))
	})
}

// BenchmarkDecideChanged measures the same of lone VIPs, each judged and decided by itself,
// of which a hundred are at the server that was lost, however many there are. Beside it
// tells what it takes to decide and compare all of them anew ("ms/all"), how many times as
// long that is ("all/changed"), and what the first decision takes after routes were found
// ("ms/start").
func BenchmarkDecideChanged(b *testing.B) {
	const servers, lost = 1000, 100
	for _, vips := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("servers=%d/vips=%d/lost=%d", servers, vips, lost), func(b *testing.B) {
			s := wideSite(servers, vips, vips, 4)
			for i := range s.VIPs {
				first := 0
				if i >= lost {
					first = 1 + i%(servers-4)
				}
				all := s.Servers[first : first+4]
				s.VIPs[i].Tiers = []topology.Tier{{Name: "primary", Servers: names(all[:1])}, {Name: "backup", Servers: names(all[1:])}}
			}
			benchmarkLoss(b, s)
		})
	}
}

func names(servers []topology.Server) (names []topology.ServerName) {
	for _, server := range servers {
		names = append(names, server.Name)
	}
	return names
}

// benchmarkLoss measures deciding, and comparing with a router, after the first server was
// lost.
func benchmarkLoss(b *testing.B, s *topology.Site) {
	board := health.NewBoard(s)
	observe := func(failure string, among func(topology.ServerName) bool) {
		for _, judge := range s.Judges() {
			for _, server := range judge.Servers {
				if among(server) {
					board.Observe(health.Result{Target: health.Target{Server: server, VIP: judge.VIP.Prefix}, Started: noon, Failure: failure})
				}
			}
		}
	}
	observe("", func(topology.ServerName) bool { return true })
	in := steer.Input{Site: s, Cohorts: steer.NewCohorts(s), Health: board, Now: noon}
	in.Previous = steer.Desired(steer.Input{Site: s, Cohorts: in.Cohorts, Health: board, Now: noon})
	table := steer.NewTable(in.Cohorts, routesOf(s, in.Previous))
	have := steer.Compare(table, steer.Terms{})
	if plan := have.With(in.Previous); len(plan.Changes) > 0 {
		b.Fatal("all is well, and something moves")
	}
	observe("connection refused", func(name topology.ServerName) bool { return name == "web0000" })
	anew := in
	anew.Previous = steer.Assign(in.Cohorts, in.Previous.For)
	all := quickest(func() { steer.Diff(steer.Desired(anew), table, steer.Terms{}) })
	anew.Previous = steer.Adopt(in.Cohorts, table)
	start := quickest(func() { steer.Diff(steer.Desired(anew), table, steer.Terms{}) })
	for b.Loop() {
		if plan := have.With(steer.Desired(in)); len(plan.Changes) == 0 {
			b.Fatal("nothing moves")
		}
	}
	b.ReportMetric(all.Seconds()*1000, "ms/all")
	b.ReportMetric(start.Seconds()*1000, "ms/start")
	b.ReportMetric(float64(all)*float64(b.N)/float64(b.Elapsed()), "all/changed")
}

// quickest is how long f takes at best.
func quickest(f func()) time.Duration {
	best := time.Hour
	for range 5 {
		began := time.Now()
		f()
		best = min(best, time.Since(began))
	}
	return best
}

// wideSite has so many VIPs in so many entries, each with servers of its own, of
// which the first is its primary.
func wideSite(servers, vips, entries, each int) *topology.Site {
	s := &topology.Site{Checks: []topology.Check{{Name: "web", TCP: &topology.TCP{Port: 80}, Rise: 1, Fall: 1}}, Alive: topology.Alive{Off: true}}
	var all []topology.ServerName
	for i := range servers {
		name := topology.ServerName(fmt.Sprintf("web%04d", i))
		all = append(all, name)
		s.Servers = append(s.Servers, topology.Server{Name: name, Weight: 1, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})}})
	}
	prefix := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	for i := range vips {
		entry := i * entries / vips
		judge, first := prefix(entry*(vips/entries)), entry*each%servers
		tiers := []topology.Tier{{Name: "primary", Servers: all[first : first+1]}, {Name: "backup", Servers: all[first+1 : first+each]}}
		s.VIPs = append(s.VIPs, topology.VIP{
			Prefix: prefix(i), Entry: judge, Judge: judge, Check: "web", Mode: topology.Single, Tiers: tiers, Failback: topology.Failback{Mode: topology.FailbackNever},
		})
	}
	return s
}

func largeSite(servers, vips int) steer.Input {
	s := &topology.Site{}
	var all []topology.ServerName
	for i := range servers {
		name := topology.ServerName(fmt.Sprintf("web%03d", i))
		all = append(all, name)
		s.Servers = append(s.Servers, topology.Server{Name: name, Weight: 1, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})}})
	}
	b := beliefs{states: map[health.Target]health.State{}}
	for i := range vips {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)}), 32)
		vip := topology.VIP{
			Prefix: prefix, Entry: prefix, Judge: prefix, Mode: topology.Single,
			Tiers:    []topology.Tier{{Name: "primary", Servers: all[i%servers : i%servers+1]}, {Name: "backup", Servers: append(append([]topology.ServerName{}, all[:i%servers]...), all[i%servers+1:]...)}},
			Failback: topology.Failback{Mode: topology.FailbackNever},
		}
		s.VIPs = append(s.VIPs, vip)
		for _, name := range all {
			b.states[health.Target{Server: name, VIP: vip.Judge}] = health.State{Verdict: health.Up, Since: noon}
		}
	}
	return steer.Input{Site: s, Health: b, Now: noon}
}
