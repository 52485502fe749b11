package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// BenchmarkStatus measures what it takes to tell the state of a site whose VIPs are
// all checked one by one: pages, /metrics and the CLI are made of it.
func BenchmarkStatus(b *testing.B) {
	for _, size := range []struct{ servers, vips int }{{50, 1000}, {2, 10_000}} {
		b.Run(fmt.Sprintf("servers=%d/vips=%d", size.servers, size.vips), func(b *testing.B) {
			c := steered(b, wideSite(size.servers, size.vips))
			for b.Loop() {
				if status, err := c.Status(b.Context()); err != nil || len(status.VIPs) != size.vips {
					b.Fatal(err)
				}
			}
		})
	}
}

// steered returns a controller of a router in memory, whose servers are all up.
func steered(b *testing.B, file string) *controller.Controller {
	b.Helper()
	senses := &senses{ill: map[health.Target]string{}}
	router := mem.NewRouter()
	c, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) { return topology.Parse("site.yaml", []byte(file)) },
		Open: func(_ topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
			return router.Open(slices.Concat(cohorts.Prefixes()...)), nil
		},
		Sense: func(n chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
			senses.news = n
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
	return c
}

// wideSite is a site each of whose servers may carry every VIP.
func wideSite(servers, vips int) string {
	var text strings.Builder
	text.WriteString("checks: {default: {http: {port: 80}, rise: 1}}\nrouters: {edge: {linux: {}}}\nservers:\n")
	for i := range servers {
		fmt.Fprintf(&text, "  web%d: 192.0.2.%d\n", i+1, i+11)
	}
	text.WriteString("vips:\n")
	for i := range vips {
		fmt.Fprintf(&text, "- {prefix: 10.64.%d.%d, primary: web%d}\n", i>>8, i&255, i%servers+1)
	}
	return text.String()
}
