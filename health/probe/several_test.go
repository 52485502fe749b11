package probe

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// TestMembersOfACheckOfSeveralAreCheckedEachInItsWay has one that goes through the
// VIPs, and one to the server's address for both VIPs of a family.
func TestMembersOfACheckOfSeveralAreCheckedEachInItsWay(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.serve(l.servers[0], says("ok"))
	l.accept(l.servers[0], 8081, func(c net.Conn) { _, _ = io.WriteString(c, "drain\n") })
	r := l.prober()
	site := l.site(topology.Check{HTTP: &topology.HTTP{}})
	agent := site.Checks[0]
	agent.Name, agent.HTTP, agent.Agent, agent.Through = "health", nil, &topology.Agent{Port: 8081}, topology.ThroughAddress
	agent.Interval, agent.FastInterval = 30*time.Millisecond, 30*time.Millisecond
	whole := topology.Check{Name: "site", Through: topology.ThroughVIP, Group: &topology.Group{Needs: 2, Of: []topology.CheckName{"web", "health"}}}
	site.Checks = []topology.Check{agent, whole, site.Checks[0]} // by name
	for i := range site.VIPs {
		site.VIPs[i].Check = "site"
	}
	r.set(site)
	seen := map[health.Target]bool{}
	for len(seen) < 4 {
		result := r.next("a result of each member", func(n health.News) bool { _, is := n.(health.Result); return is }).(health.Result)
		if !result.OK() || (result.Said != nil) != (result.Target.Member == "health") {
			t.Fatalf("%+v", result)
		}
		seen[result.Target] = true
	}
	member := func(target health.Target, name topology.CheckName) health.Target {
		target.Member = name
		return target
	}
	for _, want := range []health.Target{member(web(1, vip4), "web"), member(web(1, vip4), "health"), member(web(1, vip6), "web"), member(web(1, vip6), "health")} {
		if !seen[want] {
			t.Errorf("no result of %v: %v", want, seen)
		}
	}
	l.run(l.servers[0], "ip addr del 203.0.113.33/32 dev lo")
	got := r.check(member(web(1, vip4), "web"), member(web(1, vip4), "health"), web(1, vip4))
	want := []string{"timeout after 1s (connecting)", "", "not checked: no such target"}
	if !slices.Equal(got, want) {
		t.Errorf("without the VIP: %q, want %q", got, want)
	}
}
