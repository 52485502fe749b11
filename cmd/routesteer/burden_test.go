package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/metrics"
	"github.com/routesteer/routesteer/internal/web"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// TestWhoDoesNotReadDelaysNothing: with watchers, scrapers and pages that ask and never
// read the answer, a failure moves its traffic. What waited for any of them would wait
// until it is cut off, which is after ten seconds. What the burden costs, the benchmark says.
func TestWhoDoesNotReadDelaysNothing(t *testing.T) {
	const stuck = 5 * time.Second
	s := steerOverHTTP(t, 1000)
	s.begin()
	s.await("web1")
	s.burden()
	for range 5 {
		took := s.failover()
		t.Logf("from the news to the last of %d routes: %s", len(s.site.VIPs), took)
		if took > stuck {
			t.Errorf("a failure moved its traffic after %s, while others do not read", took)
		}
	}
}

// BenchmarkFailover is the time from the loss of a server until the last of its thousand
// VIPs is routed to another, alone and with a hundred that ask and never read.
func BenchmarkFailover(b *testing.B) {
	var alone time.Duration
	for _, c := range []struct {
		name   string
		burden func(*steering)
	}{{"alone", func(*steering) {}}, {"burdened", (*steering).burden}} {
		b.Run(c.name, func(b *testing.B) {
			s := steerOverHTTP(b, 1000)
			s.begin()
			s.await("web1")
			c.burden(s)
			var took []time.Duration
			for b.Loop() {
				took = append(took, s.failover())
			}
			slices.Sort(took)
			middle := took[len(took)/2]
			if alone == 0 {
				alone = middle
			}
			b.ReportMetric(0, "ns/op") // it includes the way back
			b.ReportMetric(float64(middle.Microseconds())/1000, "ms/failover")
			b.ReportMetric(float64(middle)/float64(alone), "ratio")
		})
	}
}

// BenchmarkScrape is what a scraper waits for, of 10,000 VIPs, if nobody else has scraped
// just before.
func BenchmarkScrape(b *testing.B) {
	s := steerOverHTTP(b, 10000)
	s.begin()
	s.settle()
	for _, path := range []string{"/metrics", "/metrics?vips=each"} {
		b.Run(path[1:], func(b *testing.B) {
			for b.Loop() {
				// One that has told nothing yet: within a second all get the same bytes.
				page, answer := metrics.New(metrics.Options{Operator: s.c, Tally: s.c.Tally}), httptest.NewRecorder()
				page.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
				if answer.Code != http.StatusOK || answer.Body.Len() < 10_000 {
					b.Fatalf("%d, %d bytes", answer.Code, answer.Body.Len())
				}
			}
		})
	}
}

// steering is a controller of VIPs, each judged by itself, with a router in
// memory and servers made of words.
type steering struct {
	t      testing.TB
	news   chan<- health.News
	site   *topology.Site
	c      *controller.Controller
	routed chan api.Event
	at     string
}

// wordSenses check nothing: the test says what there is to know.
type wordSenses struct{}

func (wordSenses) Set(*topology.Site) error                                      { return nil }
func (wordSenses) Pace(health.Target, health.Pace)                               {}
func (wordSenses) Use(health.Target, netip.Addr)                                 {}
func (wordSenses) Ask()                                                          {}
func (wordSenses) Check(context.Context, []health.Target) (none []health.Result) { return none }
func (wordSenses) Close() error                                                  { return nil }

func steerOverHTTP(t testing.TB, vips int) *steering {
	t.Helper()
	s := &steering{t: t, at: freePort(t), routed: make(chan api.Event, 4096)}
	var file strings.Builder
	fmt.Fprintf(&file, "servers: {web1: 192.0.2.11, web2: 192.0.2.12}\nchecks: {default: {tcp: 80, rise: 1, fall: 1}}\n"+
		"routers: {edge: {linux: {}}}\npolicy: {failback: immediate, correlated: act}\nhttp: {listen: %q}\nvips:\n", s.at)
	for i := range vips {
		fmt.Fprintf(&file, "  - {prefix: 10.0.%d.%d/32, primary: web1, backup: web2}\n", i/250, i%250)
	}
	router := mem.NewRouter()
	var err error
	s.c, err = controller.New(controller.Options{
		Load: func() (*topology.Site, error) { return topology.Parse("site.yaml", []byte(file.String())) },
		Open: func(_ topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
			return router.Open(slices.Concat(cohorts.Prefixes()...)), nil
		},
		Sense: func(news chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
			s.news = news
			return wordSenses{}, nil
		},
		StateFile: filepath.Join(t.TempDir(), "state.json"), Version: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.serve()
	return s
}

// serve runs the controller and its listener until the test ends.
func (s *steering) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	opened, done := make(opening), make(chan error, 3)
	go func() { done <- s.c.Run(ctx) }()
	<-s.c.Running()
	go func() {
		web.Serve(ctx, web.Options{
			Sites: s.c.Sites(ctx), Operator: s.c, Log: slog.New(opened), Page: http.NotFoundHandler(), Warn: func(context.Context, string) {},
			Metrics: metrics.New(metrics.Options{Operator: s.c, Tally: s.c.Tally}),
		})
		done <- nil
	}()
	<-opened
	go func() {
		for event := range s.c.Events(ctx, api.EventsRequest{Kinds: []string{api.RouteEvent}, Follow: true}) {
			select {
			case s.routed <- event:
			case <-ctx.Done(): // nobody counts them any more
			}
		}
		done <- nil
	}()
	s.t.Cleanup(func() {
		cancel()
		for range 3 {
			if err := <-done; err != nil {
				s.t.Error(err)
			}
		}
	})
	for site := range s.c.Sites(ctx) {
		s.site = site
		break
	}
}

// begin has both servers checked, so that the VIPs get their routes to web1.
func (s *steering) begin() {
	s.t.Helper()
	for _, server := range []topology.ServerName{"web1", "web2"} {
		s.check(server, "")
	}
}

// settle waits until all VIPs are routed. They are more than the journal holds events of,
// so that these cannot be counted; but the last of them is told.
func (s *steering) settle() {
	s.t.Helper()
	amiss := func(vip api.VIP) bool { return !vip.InSync || len(vip.Wanted) == 0 }
	limit := time.After(60 * time.Second)
	for {
		status, err := s.c.Status(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if !slices.ContainsFunc(status.VIPs, amiss) {
			return
		}
		select {
		case <-s.routed:
			s.forgetRouted()
		case <-limit:
			s.t.Fatal("not all VIPs are routed")
		}
	}
}

// forgetRouted forgets the events that have come.
func (s *steering) forgetRouted() {
	for len(s.routed) > 0 {
		<-s.routed
	}
}

// check tells the result of a check of each VIP on a server, so often that even one
// that flaps is trusted.
func (s *steering) check(server topology.ServerName, failure string) {
	for _, vip := range s.site.VIPs {
		s.news <- health.Result{Target: health.Target{Server: server, VIP: vip.Prefix}, Started: time.Now(), Failure: failure}
	}
}

// await waits until the VIPs are routed to a server, and returns when the last was.
func (s *steering) await(server string) (last time.Time) {
	s.t.Helper()
	limit := time.After(60 * time.Second)
	for left := len(s.site.VIPs); left > 0; {
		select {
		case event := <-s.routed:
			if event.To == server {
				left -= max(1, event.VIPs)
				last = event.Time
			}
		case <-limit:
			s.t.Fatalf("%d VIPs are not routed to %s", left, server)
		}
	}
	return last
}

// failover is how long it takes from the loss of web1 until the last VIP is routed to
// web2. They are back at web1 then.
func (s *steering) failover() time.Duration {
	s.t.Helper()
	lost := time.Now()
	s.news <- health.Loss{Server: "web1", Address: netip.MustParseAddr("192.0.2.11"), At: lost, Failure: "no reply to 3 echoes"}
	took := s.await("web2").Sub(lost)
	for range 33 { // it flaps: it is trusted later and later
		s.check("web1", "")
	}
	s.await("web1")
	return took
}

// burden has a hundred ask for what the controller tells, and never read it.
func (s *steering) burden() {
	s.t.Helper()
	for _, path := range []string{api.StreamPath, api.EventsPath + "?follow=true", "/metrics?vips=each", api.StatusPath, api.ExplainPath + "?vip=10.0.0.1"} {
		for range 20 {
			s.askAndNeverRead(path)
		}
	}
}

// askAndNeverRead sends a request and leaves it at that.
func (s *steering) askAndNeverRead(path string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.at)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		s.t.Fatal(err)
	}
}
