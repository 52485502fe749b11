package probe

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/topology"
)

// traces is what the router's kernel holds that is not there by itself.
func (l *lan) traces() string {
	l.t.Helper()
	return l.run(l.router, "ip rule; ip -6 rule; ip route show table all proto 82; ip -6 route show table all proto 82")
}

func TestCloseLeavesNoTraceAndTouchesNothingElse(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	l.run(l.router, "ip route add default via 192.0.2.12 table 99; ip rule add from 198.51.100.1 lookup 99 priority 6000")
	before := l.traces()
	r := l.prober()
	r.set(l.site(manual(topology.Check{ICMP: &topology.ICMP{}})))
	during := l.traces()
	for _, want := range []string{
		"5200:\tfrom all fwmark 0x52530000 lookup 52000 proto 82",
		"5205:\tfrom all fwmark 0x52530005 lookup 52005 proto 82",
		"default via 192.0.2.11 dev lan0 table 52000 metric 100",
		"unreachable default table 52000 metric 200",
		"default via fd00:2::11 dev lan0 table 52001 metric 100",
	} {
		if !strings.Contains(during, want) {
			t.Errorf("no %q in\n%s", want, during)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if after := l.traces(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestWhatAKilledPredecessorLeftIsTakenOverOrRemoved(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says(n.Name))
	}
	before := l.traces()
	// Rule 0 leads to the wrong server, rule 1 is the other way round than
	// now, rule 9 is not needed any more.
	l.run(l.router, `
		for i in 0 1 9; do
			ip rule add fwmark $((0x52530000 + i)) lookup $((52000 + i)) priority $((5200 + i)) protocol 82
			ip route add default via 192.0.2.12 table $((52000 + i)) metric 100 protocol 82
			ip route add unreachable default table $((52000 + i)) metric 200 protocol 82
		done
		ip rule add fwmark 0x5253000a lookup 52003 priority 5203 protocol 82`)
	r := l.prober()
	site := l.site(manual(topology.Check{HTTP: &topology.HTTP{Body: "web1"}}))
	r.set(site)
	if got := r.check(web(1, vip4), web(2, vip4), web(1, vip6)); got[0] != "" || got[1] != `body lacks "web1"` || got[2] != "" {
		t.Errorf("failures %q", got)
	}
	if now := l.traces(); strings.Contains(now, "52009") || strings.Contains(now, "0x5253000a") {
		t.Errorf("stale rules are left:\n%s", now)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if after := l.traces(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestSomeoneElsesRulesAndTablesAreAnError(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	site := l.site(manual(topology.Check{ICMP: &topology.ICMP{}}))
	for _, c := range []struct{ name, add, del, want string }{
		{"our mark", "ip rule add fwmark 0x52530000 lookup 7 priority 100", "ip rule del priority 100", "policy rule 100"},
		{"a mask over our mark", "ip rule add fwmark 0x52000000/0xff000000 lookup 7 priority 100", "ip rule del priority 100", "policy rule 100"},
		{"our priority", "ip -6 rule add fwmark 0x7 lookup 7 priority 5201", "ip -6 rule del priority 5201", "policy rule 5201"},
		{"our table by a rule", "ip rule add fwmark 0x7 lookup 52000 priority 9000", "ip rule del priority 9000", "policy rule 9000"},
		{"our table by a route", "ip route add 198.51.100.0/24 via 192.0.2.11 table 52000", "ip route flush table 52000", "routing table 52000 holds 198.51.100.0/24"},
	} {
		r := l.prober()
		l.run(l.router, c.add)
		before := l.traces()
		err := r.Set(site)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "web1") {
			t.Errorf("%s: error %v, want one about %q", c.name, err, c.want)
		}
		if after := l.traces(); after != before {
			t.Errorf("%s: before:\n%s\nafter:\n%s", c.name, before, after)
		}
		l.run(l.router, c.del)
		if err := r.Set(site); err != nil {
			t.Errorf("%s, removed again: %v", c.name, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSetLeavesWhatIsTheSameUndisturbed(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	for _, n := range l.servers {
		l.serve(n, says("ok"))
	}
	r := l.prober()
	site := l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: never, FastInterval: 20 * time.Millisecond})
	r.set(site)
	kept := r.targets[web(2, vip4)]
	mark := kept.ways[0].path.mark

	// Without web1 all indices would move by two; web2 must not notice.
	less := l.site(site.Checks[0])
	less.Servers = less.Servers[1:]
	for i := range less.VIPs {
		less.VIPs[i].Tiers = []topology.Tier{{Name: "primary", Servers: []topology.ServerName{"web2", "web3"}}}
	}
	r.set(less)
	if r.targets[web(2, vip4)] != kept || kept.ways[0].path.mark != mark {
		t.Error("web2 was disturbed when web1 went")
	}
	if got := r.check(web(1, vip4), web(2, vip4)); got[0] != "not checked: no such target" || got[1] != "" {
		t.Errorf("failures %q", got)
	}
	if now := l.traces(); strings.Contains(now, "52000") || strings.Contains(now, "52001") {
		t.Errorf("web1's paths are left:\n%s", now)
	}
	r.set(site)
	if r.targets[web(2, vip4)] != kept {
		t.Error("web2 was disturbed when web1 came back")
	}
	r.result(web(1, vip4), "pass", passes)

	other := l.site(site.Checks[0])
	other.Paths = topology.Paths{Mark: 0x100, Table: 7000, Priority: 700}
	r.set(other)
	if r.targets[web(2, vip4)] == kept {
		t.Error("web2 still uses the former numbers")
	}
	if now := l.traces(); strings.Contains(now, "5200") || !strings.Contains(now, "fwmark 0x100 lookup 7000 proto 82") {
		t.Errorf("with other numbers:\n%s", now)
	}
	if got := r.check(web(2, vip4), web(3, vip6)); got[0] != "" || got[1] != "" {
		t.Errorf("failures %q", got)
	}
}

func TestAServerBehindAnotherRouterFailsAloneAndSaysWhy(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says("ok"))
	}
	l.run(l.servers[0], "ip addr add 198.51.100.9/32 dev lo")
	l.run(l.router, "ip route add 198.51.100.0/24 via 192.0.2.11")
	site := l.site(manual(topology.Check{HTTP: &topology.HTTP{}}))
	site.Servers[0].Addresses[0] = netip.MustParseAddr("198.51.100.9")
	r := l.prober()
	r.set(site)
	got := r.check(web(1, vip4), web(2, vip4))
	if !strings.HasPrefix(got[0], "no direct path to 198.51.100.9") || got[1] != "" {
		t.Errorf("failures %q", got)
	}
	site = l.site(manual(topology.Check{HTTP: &topology.HTTP{}, Through: topology.ThroughAddress}))
	site.Servers[0].Addresses[0] = netip.MustParseAddr("198.51.100.9")
	r.set(site)
	if got := r.check(web(1, vip4)); got[0] != "" {
		t.Errorf("through the address: %s", got[0])
	}
}

func TestALostRouteNeverLetsACheckFallThrough(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says("ok"))
	}
	r := l.prober()
	r.set(l.site(manual(topology.Check{HTTP: &topology.HTTP{}})))
	r.paths.mu.Lock() // nothing is repaired meanwhile
	l.run(l.router, "ip route del default table 52002 metric 100; ip -6 route del default table 52003 metric 100")
	// Table main says web1, which answers: only the unreachable route tells.
	for _, got := range r.check(web(2, vip4), web(2, vip6)) {
		if got != "no route to host" {
			t.Errorf("failure %q", got)
		}
	}
	r.paths.mu.Unlock()
	// That failure makes the paths be looked at.
	deadline := time.Now().Add(patience)
	for r.check(web(2, vip4))[0] != "" || r.check(web(2, vip6))[0] != "" {
		if time.Now().After(deadline) {
			t.Fatalf("the paths do not come back:\n%s", l.traces())
		}
	}
}

func TestFlushedRulesComeBack(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	l.serve(l.servers[1], says("ok"))
	r := l.prober()
	r.set(l.site(manual(topology.Check{HTTP: &topology.HTTP{}})))
	l.run(l.router, "ip rule del priority 5202; ip -6 rule del priority 5203")
	// The kernel tells of it; without the rule web1 is asked, which is silent.
	deadline := time.Now().Add(patience)
	for r.check(web(2, vip4))[0] != "" || r.check(web(2, vip6))[0] != "" {
		if time.Now().After(deadline) {
			t.Fatalf("the rules do not come back:\n%s", l.traces())
		}
	}
}

// twoCards is a site of one server with two cards, played by two servers; its
// check passes on the second.
func (l *lan) twoCards() *topology.Site {
	site := l.echoing()
	site.Checks[0] = l.site(topology.Check{HTTP: &topology.HTTP{Body: "web2"}, Interval: 50 * time.Millisecond, FastInterval: 20 * time.Millisecond}).Checks[0]
	site.Servers[0].Addresses = append(site.Servers[0].Addresses, site.Servers[1].Addresses...)
	site.Servers = site.Servers[:1]
	for i := range site.VIPs {
		site.VIPs[i].Tiers = []topology.Tier{{Name: "primary", Servers: []topology.ServerName{"web1"}}}
	}
	return site
}

func TestTheFirstAddressThatIsNotLostIsUsed(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says(n.Name))
	}
	r := l.prober()
	r.set(l.twoCards())
	r.next("found", isFound("web1"))
	r.result(web(1, vip4), "failure", fails)
	l.run(l.servers[0], "ip link set eth0 down")
	r.next("loss", func(n health.News) bool {
		loss, ok := n.(health.Loss)
		return ok && loss.Address == netip.MustParseAddr("192.0.2.11")
	})
	r.result(web(1, vip4), "pass", passes)
}

func TestAnAddressThatIsDeadFromTheStartIsPassedOver(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says(n.Name))
	}
	l.run(l.servers[0], "ip link set eth0 down")
	r := l.prober()
	r.set(l.twoCards())
	for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
		r.result(target, "pass", passes)
	}
	// When none answers any more, the first is used again: it may be that echo
	// is filtered.
	l.run(l.servers[1], "sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1")
	for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
		r.result(target, "failure", fails)
	}
}

func TestARuleInFrontOfOursBreaksThePathsAndSaysSo(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says("ok"))
	}
	l.run(l.router, "ip route add default via 192.0.2.12 table 999; ip -6 route add default via fd00:2::12 table 999")
	site := l.site(manual(topology.Check{HTTP: &topology.HTTP{}}))
	for _, c := range []struct{ name, add, del, want string }{
		{"any packet", "ip rule add lookup 999", "ip rule del lookup 999", "policy rule 5199 (lookup 999) comes before routesteer's: checks cannot be forced to web1"},
		{"of IPv4 by its source", "ip rule add from 192.0.2.1 lookup 999 priority 100", "ip rule del priority 100", "policy rule 100 (lookup 999) comes before"},
		{"of IPv6", "ip -6 rule add lookup 999", "ip -6 rule del lookup 999", "policy rule 5200 (lookup 999) comes before routesteer's: checks cannot be forced to web1"},
		{"refused", "ip rule add unreachable priority 100", "ip rule del priority 100", "policy rule 100 (refuses packets) comes before"},
		{"with our mark", "ip rule add fwmark 0x52530000/0xffff0000 lookup 999 priority 100", "ip rule del priority 100", "policy rule 100 (lookup 999) comes before"},
		{"a VIP of this machine", "ip addr add 203.0.113.33/32 dev lo", "ip addr del 203.0.113.33/32 dev lo", "203.0.113.33 is an address of this machine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := l.prober()
			r.set(site)
			target, other := web(1, vip4), web(1, vip6)
			if strings.Contains(c.add, "-6") {
				target, other = other, target
			}
			until := func(want func(string) bool) {
				t.Helper()
				deadline := time.Now().Add(patience)
				for got := r.check(target)[0]; !want(got); got = r.check(target)[0] {
					if time.Now().After(deadline) {
						t.Fatalf("failure %q\n%s", got, l.traces())
					}
				}
			}
			sees := func(got string) bool { return strings.Contains(got, c.want) }
			l.run(l.router, c.add)
			until(sees)
			if got := r.check(other)[0]; got != "" {
				t.Errorf("the other family: %s", got)
			}
			l.run(l.router, c.del)
			until(func(got string) bool { return got == "" })
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAPathThatIsBrokenAtSetFailsNoOther(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says("ok"))
	}
	l.run(l.router, `ip route add default via 192.0.2.12 table 999
		ip rule add lookup 999 priority 5199`)
	r := l.prober()
	r.set(l.site(manual(topology.Check{HTTP: &topology.HTTP{}})))
	got := r.check(web(1, vip4), web(2, vip4), web(1, vip6), web(2, vip6))
	for i, name := range []string{"web1", "web2"} {
		if want := "policy rule 5199 (lookup 999) comes before routesteer's: checks cannot be forced to " + name; got[i] != want {
			t.Errorf("failure %q, want %q", got[i], want)
		}
	}
	if got[2] != "" || got[3] != "" {
		t.Errorf("by IPv6: %q", got[2:])
	}
	l.run(l.router, "ip rule del priority 5199")
	deadline := time.Now().Add(patience)
	for got := r.check(web(1, vip4), web(2, vip4)); got[0] != "" || got[1] != ""; got = r.check(web(1, vip4), web(2, vip4)) {
		if time.Now().After(deadline) {
			t.Fatalf("failures %q", got)
		}
	}
}

func TestARuleForOneVIPBreaksThePathsOfThatVIPOnly(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.run(l.servers[0], "ip addr add 203.0.113.65/32 dev lo")
	l.serve(l.servers[0], says("ok"))
	site := l.site(manual(topology.Check{HTTP: &topology.HTTP{}}))
	other := netip.MustParsePrefix("203.0.113.64/27")
	vip := site.VIPs[1]
	vip.Prefix, vip.Entry, vip.Judge, vip.Addresses = other, other, other, []netip.Addr{other.Addr().Next()}
	site.VIPs = append(site.VIPs, vip)
	l.run(l.router, "ip route add default via 192.0.2.12 table 999; ip rule add to 203.0.113.32/27 lookup 999 priority 100")
	r := l.prober()
	r.set(site)
	got := r.check(web(1, vip4), web(1, other))
	if want := "policy rule 100 (lookup 999) comes before routesteer's: checks cannot be forced to web1"; got[0] != want || got[1] != "" {
		t.Errorf("failures %q, want %q and none", got, want)
	}
	l.run(l.router, "ip rule del priority 100; ip rule add to 203.0.113.64/27 lookup 999 priority 100")
	deadline := time.Now().Add(patience)
	for got[0] != "" || got[1] == "" {
		if time.Now().After(deadline) {
			t.Fatalf("failures %q", got)
		}
		got = r.check(web(1, vip4), web(1, other))
	}
}

func TestChecksGoOnWhileAllRulesAreFlushed(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.serve(l.servers[0], says("ok"))
	l.run(l.router, "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lan0.rp_filter=0")
	r := l.prober()
	r.set(l.site(manual(topology.Check{HTTP: &topology.HTTP{}})))
	l.run(l.router, "ip rule flush")
	deadline := time.Now().Add(patience)
	for got := r.check(web(1, vip4))[0]; got != ""; got = r.check(web(1, vip4))[0] {
		if time.Now().After(deadline) {
			t.Fatalf("failure %q\n%s", got, l.traces())
		}
	}
}

// onlyIPv6 takes the IPv4 address from a server, which keeps its VIP: its way back
// to the router goes by IPv6, too.
func (l *lan) onlyIPv6(n *netns.Namespace, host int) {
	l.run(n, fmt.Sprintf("ip addr del 192.0.2.%d/24 dev eth0; ip route add 192.0.2.0/24 via inet6 fd00:2::1 dev eth0", host))
}

func TestIPv4VIPsAreCheckedByIPv6WhereTheFileSaysSo(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	for _, n := range l.servers {
		l.serve(n, says(n.Name))
	}
	l.onlyIPv6(l.servers[1], 12)
	l.onlyIPv6(l.servers[2], 13)
	before := l.traces()
	site := l.site(manual(topology.Check{HTTP: &topology.HTTP{Body: "web2"}}))
	for i := range 2 {
		server := &site.Servers[i+1]
		server.Addresses, server.ViaInet6 = server.Addresses[1:], true
	}
	r := l.prober()
	r.set(site)
	until := func(target health.Target, want string) {
		t.Helper()
		deadline := time.Now().Add(patience)
		for got := r.check(target)[0]; !strings.Contains(got, want) || want == "" && got != ""; got = r.check(target)[0] {
			if time.Now().After(deadline) {
				t.Fatalf("%v: failure %q, want %q\n%s", target, got, want, l.traces())
			}
		}
	}
	// Table main says web1, for both families.
	until(web(2, vip4), "")
	until(web(2, vip6), "")
	until(web(3, vip4), `body lacks "web2"`)
	until(web(1, vip4), `body lacks "web2"`)
	if rules := l.run(l.router, "ip rule; ip route show table all"); !strings.Contains(rules, "default via inet6 fd00:2::12 dev lan0 table 52003 proto 82") {
		t.Errorf("rules and routes:\n%s", rules)
	}
	// What a link takes along comes back.
	l.run(l.router, "ip link set lan0 down; ip link set lan0 up; ip addr add fd00:2::1/64 dev lan0 nodad")
	until(web(2, vip4), "")
	// A rule of somebody else's breaks the path for IPv4 alone.
	l.run(l.router, "ip route add default via 192.0.2.11 table 999; ip rule add lookup 999 priority 100")
	until(web(2, vip4), "policy rule 100 (lookup 999) comes before")
	until(web(2, vip6), "")
	l.run(l.router, "ip rule del priority 100; ip route flush table 999; ip route add 203.0.113.32/27 via 192.0.2.11; ip -6 route replace 2001:db8:f::/64 via fd00:2::11")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if after := l.traces(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestALostIPv6AddressTakesIPv4VIPsAlong(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.serve(l.servers[0], says("ok"))
	l.onlyIPv6(l.servers[0], 11)
	site := l.echoing()
	site.Servers[0].Addresses, site.Servers[0].ViaInet6 = site.Servers[0].Addresses[1:], true
	r := l.prober()
	r.set(site)
	board := health.NewBoard(site)
	for _, vip := range []netip.Prefix{vip4, vip6} {
		for range 2 {
			board.Observe(health.Result{Target: web(1, vip), Started: time.Now()})
		}
	}
	r.next("found", isFound("web1"))
	l.run(l.servers[0], "ip link set eth0 down")
	loss := r.next("loss", isLoss("web1"))
	if flips := board.Observe(loss); len(flips) != 2 {
		t.Errorf("%d verdicts fall, want those of both families: %+v", len(flips), flips)
	}
}
