package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/linux"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/topology"
)

// BenchmarkVerdictToRoute measures, on a real kernel table, the time from the
// news that one server is lost, which carries all VIPs, to the last of their
// routes pointing elsewhere ("ms/move"). The kernel's own notification of that
// route ends the measure.
func BenchmarkVerdictToRoute(b *testing.B) {
	for _, vips := range []int{4, 1000} {
		b.Run(fmt.Sprintf("vips=%d", vips), func(b *testing.B) { benchmarkVerdictToRoute(b, vips) })
	}
}

func benchmarkVerdictToRoute(b *testing.B, vips int) {
	ns := newRouterNamespace(b)
	file := benchmarkSite(vips)
	senses := &senses{ill: map[health.Target]string{}}
	var news chan<- health.News
	c, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) { return topology.Parse("site.yaml", []byte(file)) },
		Open: func(r topology.Router, site *topology.Site) (drivers.Driver, error) {
			var prefixes []netip.Prefix
			for _, vip := range site.VIPs {
				prefixes = append(prefixes, vip.Prefix)
			}
			return linux.OpenAt(ns.Fd(), *r.Linux, prefixes, slog.New(slog.DiscardHandler))
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
	defer func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	<-c.Running()
	routes := watchRoutes(b, ns)
	senses.tell()
	awaitRoutes(b, routes, vips, "192.0.2.11")

	web1, web2 := netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")
	for b.Loop() {
		news <- health.Loss{Server: "web1", Address: web1, At: time.Now(), Failure: "no reply to 3 echoes"}
		awaitRoutes(b, routes, vips, web2.String())
		b.StopTimer()
		news <- health.Found{Server: "web1", Address: web1, At: time.Now()}
		riseAgain(senses)
		news <- health.Loss{Server: "web2", Address: web2, At: time.Now(), Failure: "no reply to 3 echoes"}
		awaitRoutes(b, routes, vips, web1.String())
		news <- health.Found{Server: "web2", Address: web2, At: time.Now()}
		riseAgain(senses)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/move")
}

// riseAgain gives every target passes enough to rise, however damped.
func riseAgain(senses *senses) {
	for range 32 {
		senses.tell()
	}
}

func benchmarkSite(vips int) string {
	var text strings.Builder
	text.WriteString("servers: {web1: 192.0.2.11, web2: 192.0.2.12}\nchecks: {web: {http: {port: 80}, rise: 1}}\nrouters: {edge: {linux: {}}}\nvips:\n")
	for i := range vips {
		fmt.Fprintf(&text, "  - {prefix: 10.64.%d.%d/32, check: web, primary: web1, failback: never}\n", i/256, i%256)
	}
	return text.String()
}

// newRouterNamespace makes a namespace with a LAN.
func newRouterNamespace(b *testing.B) *netns.Namespace {
	b.Helper()
	ns, err := netns.New("router")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ns.Close() })
	err = ns.Do(func() error {
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

// watchRoutes subscribes to the kernel's news of routes.
func watchRoutes(b *testing.B, ns *netns.Namespace) <-chan netlink.RouteUpdate {
	b.Helper()
	updates, done := make(chan netlink.RouteUpdate, 1<<16), make(chan struct{})
	b.Cleanup(func() { close(done) })
	err := ns.Do(func() error {
		return netlink.RouteSubscribeWithOptions(updates, done, netlink.RouteSubscribeOptions{ReceiveBufferSize: 16 << 20, ReceiveBufferForceSize: true})
	})
	if err != nil {
		b.Fatal(err)
	}
	return updates
}

// awaitRoutes waits until so many routes have been pointed at the gateway.
func awaitRoutes(b *testing.B, updates <-chan netlink.RouteUpdate, count int, gateway string) {
	b.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for count > 0 {
		select {
		case update := <-updates:
			if update.Gw.String() == gateway {
				count--
			}
		case <-limit.C:
			b.Fatalf("%d routes never went to %s", count, gateway)
		}
	}
}
