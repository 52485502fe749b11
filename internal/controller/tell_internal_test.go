package controller

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const choices = `
servers: {web1: {addresses: [192.0.2.11, 198.51.100.11]}, web2: {addresses: [192.0.2.12, 198.51.100.12]}, web3: 192.0.2.13}
checks: {own: {tcp: 80, through: address}}
vips:
  - {prefix: 203.0.113.1, check: own}
  - {prefix: 203.0.113.2, check: own, primary: web1, failback: manual}
  - {prefix: 203.0.113.3, check: own, primary: web2, backup: web3}
  - {prefix: 203.0.113.4, primary: [web1, web2, web3], mode: ecmp}
routers: {edge: {linux: {}}}
`

// TestSensesAreToldWhatChanged holds that what is counted of changes alone is what is counted
// from the beginning, and that the senses hear of each target that this concerns, and of no other.
func TestSensesAreToldWhatChanged(t *testing.T) {
	site, err := topology.Parse("site.yaml", []byte(choices))
	if err != nil {
		t.Fatal(err)
	}
	cohorts := steer.NewCohorts(site)
	rapid.Check(t, func(t *rapid.T) {
		carrying, paths := newCarrying(), newPaths(nil)
		want, leaving := steer.Assign(cohorts, func(*steer.Cohort) steer.Want { return steer.Want{} }), map[topology.ServerName]bool{}
		for range rapid.IntRange(1, 20).Draw(t, "decisions") {
			next := map[*steer.Cohort]steer.Want{}
			for _, cohort := range rapid.SliceOfDistinct(rapid.SampledFrom(cohorts.All()), rapid.ID).Draw(t, "changed") {
				next[cohort] = drawWant(t, site, cohort)
			}
			want = want.Replace(cohorts, next)
			if rapid.IntRange(0, 3).Draw(t, "another maintenance") == 0 {
				leaving = map[topology.ServerName]bool{rapid.SampledFrom(site.Servers).Draw(t, "leaves").Name: true}
			}

			carried, used := maps.Clone(carrying.cohorts), maps.Clone(paths.inUse)
			paced, reached := carrying.count(want, leaving), paths.count(want, site)
			all, ways := newCarrying(), newPaths(nil)
			all.count(want, leaving)
			ways.count(want, site)
			if !maps.Equal(carrying.cohorts, all.cohorts) || !maps.Equal(paths.inUse, ways.inUse) || !reflect.DeepEqual(paths.cohorts, ways.cohorts) {
				t.Fatalf("carried by %v, by %v; and from the beginning %v, by %v", carrying.cohorts, paths.inUse, all.cohorts, ways.inUse)
			}
			for _, judge := range site.Judges() {
				for _, name := range judge.Servers {
					target := health.Target{Server: name, VIP: judge.VIP.Prefix}
					if told := slices.Contains(paced, target); told != ((carried[target] > 0) != (all.cohorts[target] > 0)) {
						t.Fatalf("told of the pace of %v: %t", target, told)
					}
					server, _ := site.Server(name)
					first := slices.IndexFunc(server.Addresses, func(a netip.Addr) bool { return ways.cohorts[path{target, a}] > 0 })
					if first >= 0 && paths.inUse[target] != server.Addresses[first] {
						t.Fatalf("%v is reached by %s, and better by %s", target, paths.inUse[target], server.Addresses[first])
					}
					if told := slices.Contains(reached, target); told != (used[target] != ways.inUse[target]) {
						t.Fatalf("told of the path of %v: %t", target, told)
					}
				}
			}
		}
	})
}

// drawWant draws servers of a cohort, by any of their addresses.
func drawWant(t *rapid.T, site *topology.Site, cohort *steer.Cohort) steer.Want {
	want := steer.Want{Servers: rapid.SliceOfDistinct(rapid.SampledFrom(cohort.Servers()), rapid.ID).Draw(t, "servers")}
	for _, name := range want.Servers {
		server, _ := site.Server(name)
		want.NextHops = append(want.NextHops, steer.NextHop{Address: rapid.SampledFrom(server.Addresses).Draw(t, "address"), Weight: 1})
	}
	if rapid.Bool().Draw(t, "waits") {
		want.Next = noon.Add(time.Minute)
	}
	return want
}
