package metrics

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/routesteer/routesteer/api"
)

// retry is how long to wait when the stream of events has broken off.
const retry = time.Second

// happened counts events. It is safe for concurrent use.
type happened struct {
	*catalogue

	mu      sync.Mutex
	byKind  map[[2]string]uint64 // kind, severity
	byCause map[string]uint64
	verdict map[[2]string]uint64 // server, verdict
	frozen  uint64
	latency map[[2]string]*api.Durations // router, cause
}

func newHappened(c *catalogue) *happened {
	return &happened{
		catalogue: c,
		byKind:    map[[2]string]uint64{}, byCause: map[string]uint64{}, verdict: map[[2]string]uint64{}, latency: map[[2]string]*api.Durations{},
	}
}

// follow counts what happens from now on until ctx ends.
func (h *happened) follow(ctx context.Context, operator api.Operator) {
	request := api.EventsRequest{After: time.Now(), Follow: true}
	for ctx.Err() == nil {
		for event, err := range operator.Events(ctx, request) {
			if err != nil {
				break
			}
			h.count(event)
			request = api.EventsRequest{Since: event.Seq, Follow: true}
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
}

func (h *happened) count(event api.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byKind[[2]string{event.Kind, event.Severity}]++
	switch event.Kind {
	case api.AssignmentEvent:
		if event.From != event.To {
			h.byCause[event.Cause] += uint64(max(1, event.VIPs))
		}
	case api.VerdictEvent:
		h.verdict[[2]string{event.Server, event.To}]++
	case api.GuardEvent:
		if event.To == "frozen" {
			h.frozen++
		}
	case api.RouteEvent:
		if event.TookMs > 0 {
			h.lead(event)
		}
	}
}

// lead counts how long a change took from what called for it.
func (h *happened) lead(event api.Event) {
	key := [2]string{event.Router, event.Cause}
	if h.latency[key] == nil {
		h.latency[key] = &api.Durations{}
	}
	h.latency[key].Add(time.Duration(event.TookMs * float64(time.Millisecond)))
}

// become lets go of servers and routers that the site does not have, and begins
// to count those that it has: an increase is only seen of what was there before.
func (h *happened) become(status *api.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := map[string]bool{}
	for _, server := range status.Servers {
		known[server.Name] = true
		h.verdict[[2]string{server.Name, "down"}] += 0
		h.verdict[[2]string{server.Name, "up"}] += 0
	}
	for _, router := range status.Routers {
		known["router "+router.Name] = true
	}
	maps.DeleteFunc(h.verdict, func(key [2]string, _ uint64) bool { return !known[key[0]] })
	maps.DeleteFunc(h.latency, func(key [2]string, _ *api.Durations) bool { return !known["router "+key[0]] })
}

// Describe implements prometheus.Collector, as state's does.
func (h *happened) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (h *happened) Collect(out chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, n := range h.byKind {
		out <- h.events.of(float64(n), key[:]...)
	}
	for cause, n := range h.byCause {
		out <- h.moves.of(float64(n), cause)
	}
	for key, n := range h.verdict {
		out <- h.verdicts.of(float64(n), key[:]...)
	}
	out <- h.freezes.of(float64(h.frozen))
	for key, d := range h.latency {
		out <- durations(h.led, *d, key[:]...)
	}
}
