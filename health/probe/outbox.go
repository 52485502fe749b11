package probe

import (
	"context"
	"slices"
	"sync"

	"github.com/routesteer/routesteer/health"
)

// maxWaiting is how much news may wait before checks do.
const maxWaiting = 1024

// An outbox carries news to its reader, in the order in which it was put,
// without making those who put it wait. Its methods are safe for any goroutine.
type outbox struct {
	news chan<- health.News
	poke chan struct{}

	mu      sync.Mutex
	waiting []health.News
}

func newOutbox(news chan<- health.News) *outbox {
	return &outbox{news: news, poke: make(chan struct{}, 1)}
}

// put adds news and sends it on its way. It never waits.
func (o *outbox) put(n health.News) {
	o.keep(n)
	o.send()
}

// keep adds news that may wait for send.
func (o *outbox) keep(n health.News) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, n)
}

// send sends what waits on its way. It never waits.
func (o *outbox) send() {
	select {
	case o.poke <- struct{}{}:
	default: // it has been poked and will look
	}
}

// full reports whether the reader is far behind.
func (o *outbox) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting) >= maxWaiting
}

// retain drops waiting results of targets that are not kept.
func (o *outbox) retain(keep func(health.Target) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = slices.DeleteFunc(o.waiting, func(n health.News) bool {
		result, ok := n.(health.Result)
		return ok && !keep(result.Target)
	})
}

// run delivers until ctx is done.
func (o *outbox) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.poke:
		}
		for n, ok := o.first(); ok; n, ok = o.first() {
			select {
			case <-ctx.Done():
				return
			case o.news <- n:
			}
		}
	}
}

// first takes the oldest news.
func (o *outbox) first() (n health.News, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return nil, false
	}
	n = o.waiting[0]
	o.waiting = o.waiting[1:]
	return n, true
}
