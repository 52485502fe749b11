package steer_test

import (
	"fmt"
	"net/netip"
	"testing"

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
				if plan := steer.Diff(steer.Desired(in), have, false); len(plan.Changes) == 0 {
					b.Fatal("nothing moves")
				}
			}
		})
	}
}

// BenchmarkDecideMany measures the same of 100,000 VIPs and 1,000 servers, four to
// each VIP: in a thousand entries of a hundred prefixes, and each on its own.
func BenchmarkDecideMany(b *testing.B) {
	const servers, vips = 1000, 100_000
	for _, entries := range []int{1000, vips} {
		b.Run(fmt.Sprintf("servers=%d/vips=%d/entries=%d", servers, vips, entries), func(b *testing.B) {
			s := wideSite(servers, vips, entries, 4)
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
			in.Previous = steer.Desired(in)
			have := steer.NewTable(in.Cohorts, routesOf(s, in.Previous))
			observe("connection refused", func(name topology.ServerName) bool { return name == "web0000" })
			for b.Loop() {
				if plan := steer.Diff(steer.Desired(in), have, false); len(plan.Changes) == 0 {
					b.Fatal("nothing moves")
				}
			}
		})
	}
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
