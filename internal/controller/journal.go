package controller

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/routesteer/routesteer/internal/api"
)

// journalSize is how many events are kept; older ones are forgotten.
const journalSize = 4096

// A journal keeps the latest events and wakes those who follow them. It is
// safe for concurrent use; recording never waits for a reader.
type journal struct {
	mu    sync.Mutex
	ring  []api.Event   // the latest journalSize, oldest first once full
	next  uint64        // sequence number of the next event
	grown chan struct{} // closed, and replaced, when an event is recorded
}

func newJournal() *journal { return &journal{next: 1, grown: make(chan struct{})} }

// record adds an event, numbering it. An event without a time happened now.
func (j *journal) record(event api.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	event.Seq = j.next
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	j.next++
	j.ring = append(j.ring, event)
	if len(j.ring) >= 2*journalSize {
		j.ring = append([]api.Event(nil), j.ring[len(j.ring)-journalSize:]...)
	}
	close(j.grown)
	j.grown = make(chan struct{})
}

// after returns the kept events later than since, and a channel that is
// closed when there are more. A since from the future, as after a restart of
// the controller, means all.
func (j *journal) after(since uint64) ([]api.Event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if since >= j.next {
		since = 0
	}
	first := j.next - uint64(len(j.ring))
	skip := 0
	if since >= first {
		skip = int(since - first + 1)
	}
	skip = max(skip, len(j.ring)-journalSize)
	return append([]api.Event(nil), j.ring[skip:]...), j.grown
}

// follow yields the events after since, and with follow goes on until ctx
// ends. A reader slower than journalSize events misses the oldest: a gap in
// Seq shows it.
func (j *journal) follow(ctx context.Context, since uint64, follow bool) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for {
			events, grown := j.after(since)
			for _, event := range events {
				if !yield(event, nil) {
					return
				}
				since = event.Seq
			}
			if !follow {
				return
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
		}
	}
}
