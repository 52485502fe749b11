package probe

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

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

// idleProber probes a quiet site and stands in for the controller, until it is
// killed. It complains of any failure.
func idleProber(fast bool) error {
	check := topology.Check{
		Name: "web", HTTP: &topology.HTTP{}, Interval: time.Second, FastInterval: 200 * time.Millisecond,
		Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3, Through: topology.ThroughVIP, Watch: true,
	}
	alive := topology.Alive{Interval: 200 * time.Millisecond, Fall: 3}
	if fast {
		check.Interval, check.FastInterval, check.Timeout, check.Fall = 100*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond, 2
		alive.Interval = 20 * time.Millisecond
	}
	fillHTTP(check.HTTP)
	site := &topology.Site{Checks: []topology.Check{check}, Alive: alive, Paths: topology.Paths{Mark: 0x52530000, Table: 52000, Priority: 5200}}
	var names []topology.ServerName
	for i := range 4 {
		name := topology.ServerName(fmt.Sprintf("web%d", i+1))
		names = append(names, name)
		site.Servers = append(site.Servers, topology.Server{Name: name, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)})}})
	}
	for i := range 4 {
		address := benchAddress(i)
		prefix := netip.PrefixFrom(address, 32)
		site.VIPs = append(site.VIPs, topology.VIP{
			Prefix: prefix, Entry: prefix, Judge: prefix, Addresses: []netip.Addr{address}, Check: "web", Tiers: []topology.Tier{{Servers: names}},
		})
	}
	return probeUntilKilled(site)
}

// probeUntilKilled probes a site and answers each result as the controller does.
func probeUntilKilled(site *topology.Site) error {
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
			p.Hurry(n.Target, !n.OK())
		case health.Loss:
			fmt.Fprintln(os.Stderr, n.Server, n.Failure)
		case health.Found:
		}
	}
	return nil
}
