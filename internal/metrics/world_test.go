package metrics

import (
	"context"
	"fmt"
	"iter"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeOperator answers with one status, and yields the events it is given.
type fakeOperator struct {
	api.Operator
	status api.Status
	looks  int
	events chan api.Event
}

func (f *fakeOperator) Status(context.Context) (*api.Status, error) {
	f.looks++
	return &f.status, nil
}

func (f *fakeOperator) Events(ctx context.Context, _ api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for {
			select {
			case event := <-f.events:
				if !yield(event, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// richStatus is a site in which everything that can be shown is there.
func richStatus() api.Status {
	return api.Status{
		Version: "v1.2.3", Started: noon, Config: api.Config{File: "site.yaml", Hash: "0123456789abcdef", Loaded: noon}, Warnings: []string{"look here"},
		Servers: []api.Server{
			{Name: "web1", Health: "up", Weight: 1, Echo: "answers", Admin: api.Admin{State: "drain", Since: noon}, Targets: []api.Target{{VIP: "203.0.113.32/27", Check: "web", Health: "up"}}},
			{Name: "web2", Health: "down", Weight: 2, Echo: "lost", Admin: api.Admin{State: "ready"}, Targets: []api.Target{{VIP: "203.0.113.32/27", Check: "web", Health: "down"}}},
		},
		VIPs: []api.VIP{
			{Prefix: "203.0.113.32/27", Name: "shop", Wanted: []string{"web1"}, Eligible: []string{"web1"}, InSync: true},
			{Prefix: "203.0.113.64/32", Prefixes: []string{"203.0.113.64/32", "203.0.113.65/32"}, Held: true, Pin: &api.Pin{Server: "web1"}, Wanted: []string{"web1", "web2"}},
		},
		Routers: []api.Router{{
			Name: "edge", Driver: "bgp", InSync: true, LastLook: noon, LastChange: noon, Changes: 7, Repairs: 1, Routes: 3,
			Sessions: []api.Session{{Peer: "192.0.2.1", Well: true}, {Peer: "192.0.2.1", Well: false}},
		}},
		Transitions: []api.Transition{{Router: "edge", Prefixes: 2, Left: []api.Left{{Connections: 5}}}},
	}
}

func richTally(context.Context) (*api.Tally, error) {
	tally := &api.Tally{Checks: []api.CheckTally{{Server: "web1", Check: "web", Passed: 3, Failed: 1}}, Routers: []api.RouterTally{{Router: "edge", Failed: 1}}}
	for _, took := range []time.Duration{time.Millisecond, 30 * time.Millisecond, time.Minute, time.Millisecond} {
		tally.Checks[0].Took.Add(took)
	}
	tally.Routers[0].Took.Add(2 * time.Second)
	tally.Notifiers = []api.NotifierTally{{Name: "oncall", Delivered: 2, Failures: 5, Dropped: 1, Queued: 3, Failing: true}}
	return tally, nil
}

// richEvents count in everything that counts events.
func richEvents() []api.Event {
	return []api.Event{
		{Seq: 1, Kind: api.VerdictEvent, Severity: "warning", Server: "web2", From: "up", To: "down"},
		{Seq: 2, Kind: api.AssignmentEvent, Severity: "warning", From: "web2", To: "web1", Cause: "failover", VIPs: 3},
		{Seq: 3, Kind: api.RouteEvent, Severity: "info", Router: "edge", Cause: "failover", TookMs: 12},
		{Seq: 4, Kind: api.GuardEvent, Severity: "critical", To: "frozen"},
	}
}

// newMetrics are of everything that can be shown.
func newMetrics(t testing.TB) (*Metrics, *fakeOperator) {
	t.Helper()
	operator := &fakeOperator{status: richStatus(), events: make(chan api.Event)}
	m := New(Options{Operator: operator, Tally: richTally})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Follow(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	for _, event := range append(richEvents(), api.Event{}) { // the last one is taken when those before are counted
		operator.events <- event
	}
	return m, operator
}

// scrape returns what a scraper gets.
func scrape(t testing.TB, m *Metrics, query string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest("GET", "/metrics"+query, nil)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	m.ServeHTTP(recorder, request)
	return recorder
}

// largeStatus is a site of so many VIPs on ten servers.
func largeStatus(vips int) api.Status {
	status := api.Status{Version: "v1"}
	for i := range 10 {
		status.Servers = append(status.Servers, api.Server{Name: fmt.Sprintf("web%d", i), Health: "up", Admin: api.Admin{State: "ready"}})
	}
	for i := range vips {
		prefix := fmt.Sprintf("10.%d.%d.%d/32", i>>16, i>>8&255, i&255)
		status.VIPs = append(status.VIPs, api.VIP{Prefix: prefix, Name: fmt.Sprintf("vip-%d", i), Wanted: []string{"web1"}, Eligible: []string{"web1", "web2"}, InSync: true})
		for s := range 2 {
			server := &status.Servers[(i+s)%10]
			server.Targets = append(server.Targets, api.Target{VIP: prefix, Check: "web", Health: "up"})
		}
	}
	return status
}
