package notify_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"net/netip"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/notify"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Senses that say what a test says.
type senses struct{}

func (senses) Set(*topology.Site) error                               { return nil }
func (senses) Pace(health.Target, health.Pace)                        {}
func (senses) Use(health.Target, netip.Addr)                          {}
func (senses) Ask()                                                   {}
func (senses) Close() error                                           { return nil }
func (senses) Check(context.Context, []health.Target) []health.Result { return nil }

// stuck is a site whose notifiers never get an answer: a webhook and a mail server that
// take connections and say nothing, and a program that does not end.
const stuck = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12}
checks: {web: {http: {port: 80}, rise: 1, fall: 1}}
vips: [{prefix: 203.0.113.32/27, check: web, primary: web1, backup: web2}]
routers: {edge: {linux: {}}}
policy: {failback: immediate}
notify:
  - {name: hook, on: {severity: info}, group_wait: 0s, group_interval: 0s, webhook: {url: "http://%[1]s/", timeout: 5m}}
  - {name: mail, on: {severity: info}, group_wait: 0s, group_interval: 0s, email: {smtp: "%[1]s", from: a@example.com, to: a@example.com, timeout: 5m}}
  - {name: exec, on: {severity: info}, group_wait: 0s, group_interval: 0s, exec: {command: [/bin/sleep, "600"], timeout: 5m}}
`

// TestNotifiersThatAreStuckDelayNoRoute has verdicts flap while no notifier gets anywhere
// and the file of events is on a full disk, in real time: what waited for any of them would
// wait for minutes.
func TestNotifiersThatAreStuckDelayNoRoute(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	events := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.Symlink("/dev/full", events); err != nil {
		t.Fatal(err)
	}
	vip := netip.MustParsePrefix("203.0.113.32/27")
	news, router := make(chan chan<- health.News, 1), mem.NewRouter()
	c, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) {
			return topology.Parse("site.yaml", fmt.Appendf(nil, stuck, silent.Addr()))
		},
		Open: func(topology.Router, *steer.Cohorts) (drivers.Driver, error) {
			return router.Open([]netip.Prefix{vip}), nil
		},
		Sense: func(to chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
			news <- to
			return senses{}, nil
		},
		StateFile: filepath.Join(t.TempDir(), "state.json"), EventsFile: events, Version: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	hub := notify.New(notify.Options{Operator: c, Sites: c.Sites, Warn: c.Warn, After: time.Now(), Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 2)
	go func() { ended <- c.Run(ctx) }()
	go func() { ended <- hub.Run(ctx) }()
	defer func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}()
	to := <-news
	tell := func(server topology.ServerName, failure string) {
		to <- health.Result{Target: health.Target{Server: server, VIP: vip}, Started: time.Now(), Failure: failure}
	}
	tell("web2", "")
	tell("web1", "")
	routes := routesOf(ctx, c)
	<-routes
	slowest := 0.0 // milliseconds from the verdict to the route
	for i := range 40 {
		failure := "connection refused"
		if i%2 == 1 {
			failure = ""
		}
		for passed := false; !passed; {
			tell("web1", failure) // damping asks for more and more passes
			select {
			case route := <-routes:
				passed, slowest = true, max(slowest, route.TookMs)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if slowest > 30_000 { // far from what the machine may cost, and from what they are stuck for
		t.Errorf("the slowest route took %.1f ms", slowest)
	}
	t.Logf("the slowest of 40 routes took %.2f ms", slowest)
	stuckOnes := 0
	for _, n := range hub.Tally() {
		if n.Delivered > 0 {
			t.Errorf("%s has delivered: %+v", n.Name, n)
		}
		stuckOnes++
	}
	if stuckOnes != 3 {
		t.Errorf("%d notifiers run", stuckOnes)
	}
}

// routesOf tells of each route that is changed.
func routesOf(ctx context.Context, c *controller.Controller) <-chan api.Event {
	routes := make(chan api.Event)
	go func() {
		defer close(routes)
		for event, err := range c.Events(ctx, api.EventsRequest{Kinds: []string{api.RouteEvent}, Follow: true}) {
			if err != nil {
				return
			}
			select {
			case routes <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	return routes
}
