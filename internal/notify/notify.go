// Package notify tells people, or their programs, of events: by starting a program, by a
// webhook or by mail, as the site's file says.
//
//	events ─► filter ─► group ─► queue ─► send, and again
//
// Each notifier follows the journal of events as an operator does, and has a queue and
// goroutines of its own: one that is slow, stuck or wrong delays neither steering nor the
// others. Events that come of the same are one message. What cannot be delivered is tried
// again for an hour; meanwhile status warns of it.
package notify

import (
	"context"
	"iter"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// Options are what a Hub is made of. All fields are needed.
type Options struct {
	Operator api.Operator                                       // whose events are told
	Sites    func(context.Context) iter.Seq[*topology.Site]     // the site, and each that takes its place
	Warn     func(ctx context.Context, part, text string) error // makes status warn of a part; "" ends that
	After    time.Time                                          // events that are later are told
	Log      *slog.Logger
}

// A Hub runs the notifiers of a site. Its methods may be called by several goroutines
// at once.
type Hub struct {
	options Options
	host    string

	mu      sync.Mutex
	running map[string]*notifier
}

// New returns a Hub that does nothing yet.
func New(options Options) *Hub {
	host, err := os.Hostname()
	if err != nil {
		host = "" // it is for people, who will know
	}
	return &Hub{options: options, host: host, running: map[string]*notifier{}}
}

// Run runs the notifiers that the site has, and follows its changes, until ctx is done.
// It returns when all have ended; what is not delivered then is not, but in the journal.
func (h *Hub) Run(ctx context.Context) error {
	for site := range h.options.Sites(ctx) {
		h.become(ctx, site)
	}
	for _, n := range h.running {
		n.stop()
	}
	return nil
}

// become runs the notifiers of a site. One that stays as it was goes on; one that changed
// begins with the first event that it has not delivered.
func (h *Hub) become(ctx context.Context, site *topology.Site) {
	next := map[string]*notifier{}
	for _, config := range site.Notify {
		former := h.running[config.Name]
		if former != nil && reflect.DeepEqual(former.config, config) && len(config.On.VIPs) == 0 {
			next[config.Name] = former
			continue
		}
		n := newNotifier(config, h.host, h.options)
		if former != nil {
			former.stop()
			n.succeed(former)
		}
		next[config.Name] = n
	}
	for name, former := range h.running {
		if next[name] == nil {
			former.stop()
			former.calm(ctx)
		}
	}
	for name, n := range next {
		if n != h.running[name] {
			n.start(ctx)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = next
}

// Tally returns what each notifier has done, in no order.
func (h *Hub) Tally() []api.NotifierTally {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []api.NotifierTally
	for _, n := range h.running {
		all = append(all, n.counters())
	}
	return all
}
