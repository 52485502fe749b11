package steer_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// BenchmarkDecide measures deciding anew, and comparing with a router, after
// one of the servers was lost.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []struct{ servers, vips int }{{4, 4}, {2, 1000}, {50, 1000}, {50, 10000}, {1000, 100000}} {
		b.Run(fmt.Sprintf("servers=%d/vips=%d", size.servers, size.vips), func(b *testing.B) {
			in := largeSite(size.servers, size.vips)
			in.Cohorts = steer.NewCohorts(in.Site)
			well := steer.Desired(in)
			have := steer.NewTable(in.Cohorts, routesOf(in.Site, well))
			in.Previous = well
			for _, vip := range in.Site.VIPs {
				if slices.Contains(vip.Servers(), "web000") {
					in.Health.(beliefs).states[health.Target{Server: "web000", VIP: vip.Judge}] = health.State{Verdict: health.Down, Why: "connection refused"}
				}
			}
			for b.Loop() {
				if plan := steer.Diff(steer.Desired(in), have, false); len(plan.Changes) == 0 {
					b.Fatal("nothing moves")
				}
			}
		})
	}
}

// largeSite is a site whose VIPs all have checks of their own, so that each is decided
// by itself. Up to 50 servers all stand in for all; of more, ten for each.
func largeSite(servers, vips int) steer.Input {
	s := &topology.Site{}
	var all []topology.ServerName
	for i := range servers {
		name := topology.ServerName(fmt.Sprintf("web%03d", i))
		all = append(all, name)
		s.Servers = append(s.Servers, topology.Server{Name: name, Weight: 1, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{172, 16, byte((i + 1) >> 8), byte(i + 1)})}})
	}
	b := beliefs{states: map[health.Target]health.State{}}
	for i := range vips {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(64 + i>>16), byte(i >> 8), byte(i)}), 32)
		backup := append(append([]topology.ServerName{}, all[:i%servers]...), all[i%servers+1:]...)
		if servers > 50 {
			at := i % (servers - 10)
			backup = all[at : at+10]
		}
		vip := topology.VIP{
			Prefix: prefix, Entry: prefix, Judge: prefix, Mode: topology.Single,
			Tiers:    []topology.Tier{{Name: "primary", Servers: all[i%servers : i%servers+1]}, {Name: "backup", Servers: slices.DeleteFunc(slices.Clone(backup), func(name topology.ServerName) bool { return name == all[i%servers] })}},
			Failback: topology.Failback{Mode: topology.FailbackNever},
		}
		s.VIPs = append(s.VIPs, vip)
		for _, name := range vip.Servers() {
			b.states[health.Target{Server: name, VIP: vip.Judge}] = health.State{Verdict: health.Up, Since: noon}
		}
	}
	return steer.Input{Site: s, Health: b, Now: noon}
}
