// Package journal keeps events: who and what changed, when and why. The latest
// are in memory, for whoever asks or follows, and none of those who read them, be it
// an operator, the log or a file, can hold up who records.
package journal

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
)

// size is how many events are kept in memory.
const size = 4096

// longest is how many bytes of a reason, or of another text, an event may have: what is
// cut off is in status.
const longest = 4096

// A Journal keeps the latest events and wakes those who follow them. It is
// safe for concurrent use; recording never waits for a reader.
type Journal struct {
	mu    sync.Mutex
	ring  []api.Event   // the latest, oldest first; at most twice size
	next  uint64        // sequence number of the next event
	grown chan struct{} // closed, and replaced, when an event is recorded
}

// New returns an empty Journal.
func New() *Journal { return &Journal{next: 1, grown: make(chan struct{})} }

// Record adds an event, numbering it. An event without a time happened now.
func (j *Journal) Record(event api.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	event.Seq = j.next
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	for _, text := range []*string{&event.Reason, &event.From, &event.To, &event.By} {
		*text = shorten(*text)
	}
	j.next++
	j.ring = append(j.ring, event)
	if len(j.ring) >= 2*size {
		j.ring = append([]api.Event(nil), j.ring[len(j.ring)-size:]...)
	}
	close(j.grown)
	j.grown = make(chan struct{})
}

// shorten cuts off what is too long, at the end of a character.
func shorten(text string) string {
	if len(text) <= longest {
		return text
	}
	end := 0
	for at := range text {
		if at > longest {
			break
		}
		end = at
	}
	return text[:end] + "…"
}

// A Query asks for events.
type Query struct {
	Since  uint64               // later than this sequence number; one from the future means all
	Last   int                  // of those that are kept, only the last so many; 0 for all
	Follow bool                 // go on with new ones
	Admit  func(api.Event) bool // which of them; nil for all
}

func (q Query) admits(event api.Event) bool { return q.Admit == nil || q.Admit(event) }

// Events yields the events that the query asks for, oldest first, and with Follow goes
// on until ctx ends. A reader slower than size events misses the oldest: a gap in Seq
// shows it.
func (j *Journal) Events(ctx context.Context, query Query) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for event := range j.follow(ctx, query) {
			if !yield(event, nil) {
				return
			}
		}
	}
}

func (j *Journal) follow(ctx context.Context, query Query) iter.Seq[api.Event] {
	return func(yield func(api.Event) bool) {
		since := query.Since
		for first := true; ; first = false {
			events, grown := j.after(since)
			if len(events) > 0 {
				since = events[len(events)-1].Seq
			}
			events = query.among(events, first)
			for _, event := range events {
				if !yield(event) {
					return
				}
			}
			if !query.Follow {
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

// among are the events that the query admits, of those kept at first only the last.
func (q Query) among(events []api.Event, first bool) []api.Event {
	rest := events[:0]
	for _, event := range events {
		if q.admits(event) {
			rest = append(rest, event)
		}
	}
	if first && q.Last > 0 {
		rest = rest[max(0, len(rest)-q.Last):]
	}
	return rest
}

// after returns a copy of the kept events later than since, and a channel that is
// closed when there are more. A since from the future, as after a restart that lost
// the file of events, means all.
func (j *Journal) after(since uint64) ([]api.Event, <-chan struct{}) {
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
	skip = max(skip, len(j.ring)-size)
	return append([]api.Event(nil), j.ring[skip:]...), j.grown
}
