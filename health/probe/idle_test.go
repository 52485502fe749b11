package probe

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// BenchmarkStandbys measures what it costs to know all standbys of a site of 100
// servers that all carry 100 VIPs, one VIP's traffic each: with all of them checked
// like those that carry traffic, and at standby_interval. It takes about 40 s,
// whatever -benchtime says.
func BenchmarkStandbys(b *testing.B) {
	const servers, vips = 100, 100
	l := newLAN(b, 1)
	var commands strings.Builder
	for i := range vips {
		fmt.Fprintf(&commands, "ip addr add %s/32 dev lo\n", benchAddress(i))
	}
	for i := 1; i < servers; i++ {
		fmt.Fprintf(&commands, "ip addr add 192.0.2.%d/24 dev eth0\n", 11+i)
	}
	l.run(l.servers[0], commands.String())
	l.helper(l.servers[0], "lean")
	for _, role := range []string{"alike", "standbys"} {
		prober := l.helper(l.router, role)
		<-time.After(12 * time.Second) // until all had their first pause
		per, rate := l.measure(prober)
		b.ReportMetric(rate, "checks/s-"+role)
		b.ReportMetric(per*rate/1e4, "%core-"+role)
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkIdleSite measures what watching over a site costs when nothing
// happens: four servers, four VIPs, default intervals, watches and echo. It
// takes about 12 s, whatever -benchtime says.
func BenchmarkIdleSite(b *testing.B) {
	const window = 10 * time.Second
	l := newLAN(b, 4)
	for _, server := range l.servers {
		for i := range 4 {
			l.run(server, fmt.Sprintf("ip addr add %s/32 dev lo", benchAddress(i)))
		}
		l.helper(server, "lean")
	}
	prober := l.helper(l.router, "idle")
	<-time.After(2 * time.Second) // until it is in its stride
	before := cpuTime(b, prober.Process.Pid)
	<-time.After(window)
	used := cpuTime(b, prober.Process.Pid) - before
	b.ReportMetric(100*used.Seconds()/window.Seconds(), "%core")
	b.ReportMetric(0, "ns/op")
}

// idleCheck is the default check, and the echo.
func idleCheck() (topology.Check, topology.Alive) {
	check := topology.Check{
		Name: "web", HTTP: &topology.HTTP{}, Interval: time.Second, FastInterval: 200 * time.Millisecond,
		Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3, Through: topology.ThroughVIP, Watch: true,

		StandbyInterval: 10 * time.Second,
	}
	fillHTTP(check.HTTP)
	return check, topology.Alive{Interval: 200 * time.Millisecond, Fall: 3}
}

// idleProber probes a quiet site and stands in for the controller, until it is
// killed. It complains of any failure.
func idleProber(fast bool) error {
	check, alive := idleCheck()
	if fast {
		check.Interval, check.FastInterval, check.Timeout, check.Fall = 100*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond, 2
		alive.Interval = 20 * time.Millisecond
	}
	return probeUntilKilled(idleSite(4, check, alive), func(health.Target) bool { return true })
}

// wideProber does so for a site of 100 servers and 100 VIPs, of which each server
// carries one; alike takes standbys for servers that carry traffic too.
func wideProber(alike bool) error {
	check, alive := idleCheck()
	site := idleSite(100, check, alive)
	carries := map[health.Target]bool{}
	for i, server := range site.Servers {
		carries[health.Target{Server: server.Name, VIP: site.VIPs[i].Prefix}] = true
	}
	return probeUntilKilled(site, func(target health.Target) bool { return alike || carries[target] })
}

// idleSite has n servers and n VIPs, which may go to any of them.
func idleSite(n int, check topology.Check, alive topology.Alive) *topology.Site {
	site := &topology.Site{Checks: []topology.Check{check}, Alive: alive, Paths: topology.Paths{Mark: 0x52530000, Table: 52000, Priority: 5200}}
	var names []topology.ServerName
	for i := range n {
		name := topology.ServerName(fmt.Sprintf("web%03d", i+1)) // a site sorts them
		names = append(names, name)
		site.Servers = append(site.Servers, topology.Server{Name: name, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)})}})
	}
	for i := range n {
		address := benchAddress(i)
		prefix := netip.PrefixFrom(address, 32)
		site.VIPs = append(site.VIPs, topology.VIP{
			Prefix: prefix, Entry: prefix, Judge: prefix, Addresses: []netip.Addr{address}, Check: "web", Tiers: []topology.Tier{{Servers: names}},
		})
	}
	return site
}

// probeUntilKilled probes a site and answers each result as the controller does.
func probeUntilKilled(site *topology.Site, carries func(health.Target) bool) error {
	news := make(chan health.News, 1024)
	p, err := New(news, slog.New(slog.NewTextHandler(os.Stdout, nil)))
	if err != nil {
		return err
	}
	if err := p.Set(site); err != nil {
		return err
	}
	fmt.Println("ready")
	for n := range news {
		switch n := n.(type) {
		case health.Result:
			if !n.OK() {
				fmt.Fprintln(os.Stderr, n.Target, n.Failure)
			}
			verdict := health.Up
			if !n.OK() {
				verdict = health.Unknown
			}
			p.Pace(n.Target, health.State{Verdict: verdict}.Pace(carries(n.Target)))
		case health.Loss:
			fmt.Fprintln(os.Stderr, n.Server, n.Failure)
		case health.Found:
		}
	}
	return nil
}
