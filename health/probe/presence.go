package probe

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A presence is what echo and links know of one server address.
type presence struct {
	server  topology.ServerName
	address netip.Addr
	lost    atomic.Bool // set at a Loss, cleared at a Found

	// Guarded by the pinger's lock:
	slot       uint32
	sent       uint32    // how many echoes
	since      uint32    // replies to echoes up to this one say nothing about now
	sentAt     time.Time // the newest echo
	unanswered int       // echoes sent after the last reply came
	found      bool      // a reply has come, ever
}

// An outbox carries Loss and Found to the reader of the news, in the order in
// which they were noticed, without making those who notice wait.
type outbox struct {
	news chan<- health.News
	poke chan struct{}

	mu      sync.Mutex
	waiting []health.News
}

func newOutbox(news chan<- health.News) *outbox {
	return &outbox{news: news, poke: make(chan struct{}, 1)}
}

// put adds news. It never waits.
func (o *outbox) put(n health.News) {
	o.mu.Lock()
	o.waiting = append(o.waiting, n)
	o.mu.Unlock()
	select {
	case o.poke <- struct{}{}:
	default:
	}
}

// run delivers until ctx is done.
func (o *outbox) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.poke:
		}
		o.mu.Lock()
		batch := o.waiting
		o.waiting = nil
		o.mu.Unlock()
		for _, n := range batch {
			select {
			case <-ctx.Done():
				return
			case o.news <- n:
			}
		}
	}
}
