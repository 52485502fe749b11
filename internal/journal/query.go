package journal

import (
	"context"
	"iter"
	"time"

	"github.com/routesteer/routesteer/api"
)

// early is how much earlier than those recorded before it an event may have happened.
const early = time.Minute

// A Query asks for events.
type Query struct {
	Since  uint64               // later than this sequence number; one from the future means all
	After  time.Time            // later than this
	Last   int                  // of those that are kept, only the last so many; 0 for all
	Follow bool                 // go on with new ones
	Admit  func(api.Event) bool // which of them; nil for all
}

func (q Query) admits(event api.Event) bool {
	return event.Time.After(q.After) && (q.Admit == nil || q.Admit(event))
}

// Events yields the events that the query asks for, oldest first, and with Follow goes
// on until ctx ends. What is not in memory any more is read from the file; where that
// has not got it, a gap in Seq shows it.
func (j *Journal) Events(ctx context.Context, query Query) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for event := range j.events(ctx, query) {
			if !yield(event, nil) {
				return
			}
		}
	}
}

func (j *Journal) events(ctx context.Context, query Query) iter.Seq[api.Event] {
	return func(yield func(api.Event) bool) {
		query.Since = j.past(query.Since)
		last, more := query.Since, true
		give := func(event api.Event) bool {
			if query.admits(event) {
				more = yield(event)
			}
			last = event.Seq
			return more && ctx.Err() == nil
		}
		recent, grown := j.after(last)
		if query.Last > 0 {
			recent = j.lastOf(query, recent)
		}
		for {
			if query.reachesBefore(recent, last) {
				j.older(last, recent[0].Seq, give)
			}
			for _, event := range recent {
				if !more || !give(event) {
					return
				}
			}
			if !more || !query.Follow {
				return
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
			query.Last = 0
			recent, grown = j.after(last)
		}
	}
}

// reachesBefore reports whether events after last may be wanted that came before those
// that are in memory.
func (q Query) reachesBefore(recent []api.Event, last uint64) bool {
	return q.Last == 0 && len(recent) > 0 && recent[0].Seq > last+1 && recent[0].Time.Add(early).After(q.After)
}

// lastOf are the last events that the query admits, of those in memory or, where these
// are too few, before them.
func (j *Journal) lastOf(query Query, recent []api.Event) []api.Event {
	var admitted []api.Event
	add := func(event api.Event) bool {
		if query.admits(event) {
			admitted = append(admitted, event)
		}
		if len(admitted) >= 2*query.Last {
			admitted = append(admitted[:0], admitted[len(admitted)-query.Last:]...)
		}
		return true
	}
	for _, event := range recent {
		add(event)
	}
	whole := query
	whole.Last = 0
	if len(admitted) < query.Last && whole.reachesBefore(recent, query.Since) {
		admitted = nil
		j.older(query.Since, recent[0].Seq, add)
		for _, event := range recent {
			add(event)
		}
	}
	return admitted[max(0, len(admitted)-query.Last):]
}

// follow yields the events after since that are in memory, and goes on until ctx ends
// unless once. Who is slower than size events misses the oldest.
func (j *Journal) follow(ctx context.Context, since uint64, once bool) iter.Seq[api.Event] {
	return func(yield func(api.Event) bool) {
		for {
			events, grown := j.after(since)
			for _, event := range events {
				if !yield(event) {
					return
				}
				since = event.Seq
			}
			if once {
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
