package controller

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
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

// Events implements api.Operator.
func (c *Controller) Events(ctx context.Context, since uint64, follow bool) iter.Seq2[api.Event, error] {
	return c.journal.follow(ctx, since, follow)
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

// logLimit is how long the end waits for a log that takes no more.
const logLimit = time.Second

// writeTo writes every event to the log, one line each, in a goroutine of its
// own: whoever reads the log may be slow, or stuck, and steering must not be.
// The function it returns writes what is left, and ends it.
func (j *journal) writeTo(log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		last := uint64(0)
		for _, follow := range []bool{true, false} {
			for event := range j.follow(ctx, last, follow) {
				write(log, event)
				last = event.Seq
			}
		}
	}()
	return func() {
		cancel()
		limit := time.NewTimer(logLimit)
		defer limit.Stop()
		select {
		case <-done:
		case <-limit.C:
		}
	}
}

// write writes an event to the log with the time at which it happened.
func write(log *slog.Logger, event api.Event) {
	ctx := context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	record := slog.NewRecord(event.Time, slog.LevelInfo, event.Kind, 0)
	for _, a := range []struct{ key, value string }{
		{"server", event.Server}, {"prefix", event.VIP}, {"router", event.Router},
		{"from", event.From}, {"to", event.To}, {"by", event.By}, {"reason", event.Reason},
	} {
		if a.value != "" {
			record.AddAttrs(slog.String(a.key, a.value))
		}
	}
	if event.VIPs > 0 {
		record.AddAttrs(slog.Int("prefixes", event.VIPs))
	}
	if event.TookMs > 0 {
		record.AddAttrs(slog.Float64("took_ms", event.TookMs))
	}
	_ = log.Handler().Handle(ctx, record) // as slog's own methods do: a log that cannot be written cannot be told of
}
