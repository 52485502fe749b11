// Package journal keeps events: who and what changed, when and why. The latest
// are in memory, and all, within bounds, in a file that survives restarts. None of those
// who read them, be it an operator, the log or the file, can hold up who records.
package journal

import (
	"sort"
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
	path string // of the file; "" for none
	from uint64 // the first sequence number since New or Open

	mu      sync.Mutex
	ring    []api.Event   // the latest, oldest first; at most twice size, and gaps are the file's
	next    uint64        // sequence number of the next event
	grown   chan struct{} // closed, and replaced, when an event is recorded
	trouble string        // why events are not kept in the file; "" when they are
}

// New returns an empty Journal, which keeps events in memory alone.
func New() *Journal { return &Journal{from: 1, next: 1, grown: make(chan struct{})} }

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

// after returns a copy of the events in memory later than since, and a channel that is
// closed when there are more.
func (j *Journal) after(since uint64) ([]api.Event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	skip := sort.Search(len(j.ring), func(i int) bool { return j.ring[i].Seq > since })
	skip = max(skip, len(j.ring)-size)
	return append([]api.Event(nil), j.ring[skip:]...), j.grown
}

// past is a sequence number, or 0 for one from the future: as a client may have it from
// before a restart that lost the file.
func (j *Journal) past(seq uint64) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq >= j.next {
		return 0
	}
	return seq
}

// Trouble says why events are not kept in the file at present; "" when they are, or
// are not to be.
func (j *Journal) Trouble() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.trouble
}

func (j *Journal) setTrouble(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.trouble = text
}
