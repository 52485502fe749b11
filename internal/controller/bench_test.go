package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/linux"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// BenchmarkVerdictToRoute measures the time from the news that one server is
// lost, which carries all prefixes, to the driver's word that the last of them
// goes elsewhere ("ms/move"), and of that the time until the driver is called
// ("ms/decide"). "separate" are VIPs that are checked one by one, "prefixes" one
// entry of the file.
func BenchmarkVerdictToRoute(b *testing.B) {
	for _, driver := range []string{"mem", "linux"} {
		for _, form := range []struct {
			name string
			n    int
		}{{"separate", 1}, {"separate", 1000}, {"prefixes", 1000}, {"prefixes", 10_000}, {"prefixes", 100_000}} {
			b.Run(fmt.Sprintf("driver=%s/%s=%d", driver, form.name, form.n), func(b *testing.B) {
				benchmarkVerdictToRoute(b, benchmarkRouter(b, driver), benchmarkSite(form.name, form.n), form.n)
			})
		}
	}
}

// BenchmarkOneOfAThousand measures the time from the news that one of 1,000 servers is lost,
// which carries 100 VIPs that are checked one by one, until the driver is called to move
// them: however many VIPs there are besides. A file has no room for 100,000 such VIPs.
func BenchmarkOneOfAThousand(b *testing.B) {
	const moved = 100
	for _, n := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("vips=%d", n), func(b *testing.B) {
			p := newSteeredBench(b, benchmarkRouter(b, "mem"), thousandServers(n, moved), n)
			var deciding time.Duration
			for b.Loop() {
				b.StopTimer()
				p.watched.quiet()
				b.StartTimer()
				began := time.Now()
				p.news <- health.Loss{Server: "web1", Address: netip.MustParseAddr("10.0.0.1"), At: began, Failure: "no reply to 3 echoes"}
				deciding += p.watched.await(b, moved).from.Sub(began)
				b.StopTimer()
				p.news <- health.Found{Server: "web1", Address: netip.MustParseAddr("10.0.0.1"), At: time.Now()}
				for i := range 32 * moved { // passes enough to rise, however damped
					vip := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64, 0, byte(i % moved)}), 32)
					p.news <- health.Result{Target: health.Target{Server: "web1", VIP: vip}, Started: time.Now()}
				}
				p.watched.await(b, moved)
				b.StartTimer()
			}
			b.ReportMetric(float64(deciding.Microseconds())/1000/float64(b.N), "ms/decide")
		})
	}
}

// thousandServers is a site of so many VIPs, of which so many are at web1, and return to it at
// once.
func thousandServers(vips, first int) string {
	var text strings.Builder
	text.WriteString("checks: {default: {http: {port: 80}, rise: 1}}\nrouters: {edge: {linux: {}}}\npolicy: {failback: immediate}\nservers:\n")
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&text, "  web%d: 10.0.%d.%d\n", i, i>>8, i&255)
	}
	text.WriteString("vips:\n")
	for i := range vips {
		home := 1
		if i >= first {
			home = 2 + i%998
		}
		fmt.Fprintf(&text, "- {prefix: 10.%d.%d.%d, primary: web%d, backup: web%d}\n", 64+i>>16, i>>8&255, i&255, home, home+1)
	}
	return text.String()
}

// benchmarkRouter makes a router, and returns what opens a driver on it.
func benchmarkRouter(b *testing.B, kind string) func(topology.Router, [][]netip.Prefix) (drivers.Driver, error) {
	if kind == "mem" {
		router := mem.NewRouter()
		return func(_ topology.Router, cohorts [][]netip.Prefix) (drivers.Driver, error) {
			return router.Open(slices.Concat(cohorts...)), nil
		}
	}
	ns := newRouterNamespace(b)
	return func(r topology.Router, cohorts [][]netip.Prefix) (drivers.Driver, error) {
		return linux.OpenAt(ns.Fd(), *r.Linux, cohorts, slog.New(slog.DiscardHandler))
	}
}

// A steeredBench is a controller that has sent all prefixes somewhere.
type steeredBench struct {
	senses  *senses
	news    chan<- health.News
	watched *stopwatch
}

func newSteeredBench(b *testing.B, open func(topology.Router, [][]netip.Prefix) (drivers.Driver, error), file string, prefixes int) steeredBench {
	senses := &senses{ill: map[health.Target]string{}}
	var news chan<- health.News
	watched := &stopwatch{applied: make(chan applied, 1024), called: make(chan struct{}, 1)}
	c, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) { return topology.Parse("site.yaml", []byte(file)) },
		Open: func(r topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
			driver, err := open(r, cohorts.Prefixes())
			watched.Driver = driver
			return watched, err
		},
		Sense: func(n chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
			news, senses.news = n, n
			return senses, nil
		},
		StateFile: filepath.Join(b.TempDir(), "state.json"), Version: "bench", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	<-c.Running()
	senses.tell()
	watched.await(b, prefixes)
	return steeredBench{senses, news, watched}
}

func benchmarkVerdictToRoute(b *testing.B, open func(topology.Router, [][]netip.Prefix) (drivers.Driver, error), file string, prefixes int) {
	p := newSteeredBench(b, open, file, prefixes)
	senses, news, watched := p.senses, p.news, p.watched
	lose := func(server topology.ServerName, address string) applied {
		news <- health.Loss{Server: server, Address: netip.MustParseAddr(address), At: time.Now(), Failure: "no reply to 3 echoes"}
		return watched.await(b, prefixes)
	}
	find := func(server topology.ServerName, address string) {
		news <- health.Found{Server: server, Address: netip.MustParseAddr(address), At: time.Now()}
		for range 32 { // passes enough to rise, however damped
			senses.tell()
		}
	}
	var deciding time.Duration
	for b.Loop() {
		b.StopTimer()
		watched.quiet()
		b.StartTimer()
		began := time.Now()
		deciding += lose("web1", "192.0.2.11").from.Sub(began)
		b.StopTimer()
		find("web1", "192.0.2.11")
		lose("web2", "192.0.2.12")
		find("web2", "192.0.2.12")
		b.StartTimer()
	}
	b.ReportMetric(float64(deciding.Microseconds())/1000/float64(b.N), "ms/decide")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/move")
}

// A stopwatch is a driver that tells when another is called.
type stopwatch struct {
	drivers.Driver
	applied chan applied
	busy    atomic.Bool   // a call is under way
	called  chan struct{} // there was a call
}

// An applied says that so many prefixes were changed.
type applied struct {
	from, to time.Time
	prefixes int
}

func (s *stopwatch) Routes(ctx context.Context) ([]steer.Route, error) {
	defer s.call()()
	return s.Driver.Routes(ctx)
}

func (s *stopwatch) Apply(ctx context.Context, changes []steer.Change) (int, error) {
	defer s.call()()
	from := time.Now()
	n, err := s.Driver.Apply(ctx, changes)
	s.applied <- applied{from, time.Now(), n}
	return n, err
}

func (s *stopwatch) Changed() <-chan struct{} { return s.Driver.(drivers.Watcher).Changed() }

// call notes a call, and, by what it returns, its end.
func (s *stopwatch) call() (end func()) {
	s.busy.Store(true)
	return func() {
		s.busy.Store(false)
		select {
		case s.called <- struct{}{}:
		default:
		}
	}
}

// quiet waits until the driver has not been called for a while: looks that
// follow a change are not what is measured.
func (s *stopwatch) quiet() {
	for {
		select {
		case <-s.called:
		case <-time.After(300 * time.Millisecond):
			if !s.busy.Load() {
				return
			}
		}
	}
}

// await waits until so many prefixes were changed, and returns the first call
// with the end of the last.
func (s *stopwatch) await(b *testing.B, prefixes int) applied {
	b.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	var all applied
	for all.prefixes < prefixes {
		select {
		case one := <-s.applied:
			if all.from.IsZero() {
				all.from = one.from
			}
			all.prefixes, all.to = all.prefixes+one.prefixes, one.to
		case <-limit.C:
			b.Fatalf("%d of %d prefixes were changed", all.prefixes, prefixes)
		}
	}
	return all
}

func benchmarkSite(form string, n int) string {
	var text strings.Builder
	text.WriteString("servers: {web1: 192.0.2.11, web2: 192.0.2.12}\nchecks: {default: {http: {port: 80}, rise: 1}}\nrouters: {edge: {linux: {}}}\n")
	text.WriteString("policy: {failback: never}\nvips:\n")
	if form == "prefixes" {
		text.WriteString("- primary: web1\n  prefixes:\n")
	}
	for i := range n {
		address := fmt.Sprintf("10.%d.%d.%d", 64+i>>16, i>>8&255, i&255)
		if form == "prefixes" {
			fmt.Fprintf(&text, "  - %s\n", address)
			continue
		}
		fmt.Fprintf(&text, "- {prefix: %s, primary: web1}\n", address)
	}
	return text.String()
}

// newRouterNamespace makes a namespace with a LAN.
func newRouterNamespace(b *testing.B) *netns.Namespace {
	b.Helper()
	ns := netnstest.New(b, "router")
	err := ns.Do(func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lan"}, PeerName: "port"}
		if err := netlink.LinkAdd(pair); err != nil {
			return err
		}
		for _, name := range []string{"lan", "port"} {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetUp(link); err != nil {
				return err
			}
		}
		lan, err := netlink.LinkByName("lan")
		if err != nil {
			return err
		}
		address, err := netlink.ParseAddr("192.0.2.1/24")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(lan, address)
	})
	if err != nil {
		b.Fatal(err)
	}
	return ns
}
