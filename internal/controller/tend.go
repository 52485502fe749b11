package controller

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const (
	tendEvery = time.Second     // looks at connections that are left, while any are
	tendShare = 20              // a look may take this part of the time
	tendRetry = 5 * time.Second // after a look that failed
	// nearEnd is how exactly a router's own clock ends a transition.
	nearEnd = 2 * time.Second
)

// A tending is what came of one look at a router's transitions.
type tending struct {
	worker *worker
	at     time.Time
	under  []steer.Transition // those that go on
	began  []steer.Transition // of them, those that have begun, or gone on to a next move
	ended  []ended
	cuts   error // why graceful changes cut connections
	err    error // why the look or what followed did not end well
}

// An ended transition.
type ended struct {
	steer.Transition // as seen last
	outcome          steer.Outcome
}

// A tender looks after the transitions of a worker's router. It belongs to the
// worker's goroutine.
type tender struct {
	drain  topology.Drain
	tended chan<- tending
	under  map[netip.Prefix]steer.Transition // as of the last look
	forced map[netip.Prefix]bool             // of these, those that lost a server
	due    time.Time                         // of the next look; zero for none
	fresh  bool                              // it has not looked yet

	cuts chan []netip.Prefix   // whose connections are not to be waited for
	cut  map[netip.Prefix]bool // of the last taken from cuts, until done
}

func newTender(drain topology.Drain, tended chan<- tending) *tender {
	return &tender{drain: drain, tended: tended, cuts: make(chan []netip.Prefix), fresh: true, forced: map[netip.Prefix]bool{}}
}

// inherit goes on with what the tender of an earlier worker of the same router
// looked after, which has ended.
func (t *tender) inherit(former *tender) { t.under, t.forced = former.under, former.forced }

// cutNow ends transitions at once.
func (w *worker) cutNow(ctx context.Context, prefixes []netip.Prefix) {
	w.tender.cut = map[netip.Prefix]bool{}
	for _, p := range prefixes {
		w.tender.cut[p] = true
	}
	w.tend(ctx)
	w.tender.cut = nil
}

// tend looks at the transitions of the router, ends what is over, and reports.
func (w *worker) tend(ctx context.Context) {
	t := w.tender
	t.due, t.fresh = time.Time{}, false
	drainer, can := w.driver.(drivers.Drainer)
	if !can {
		return
	}
	began := time.Now()
	report := tending{worker: w, at: began}
	report.under, report.err = drainer.Transitions(ctx)
	if report.err == nil {
		report.ended = t.vanished(report.under, began)
		report.err = t.settle(ctx, drainer, w.current.want, &report)
		for i, tr := range report.under {
			report.under[i] = t.recall(tr)
		}
		report.began = t.note(report.under)
	}
	report.cuts = drainer.Cuts()
	t.plan(report, time.Since(began))
	select {
	case t.tended <- report:
	case <-ctx.Done():
	}
}

// tendAfter looks at the transitions that a pass began, before it is reported:
// whoever waits for a move then knows of the connections that it left. What a
// predecessor began is looked at once.
func (w *worker) tendAfter(ctx context.Context, seen sighting, ordered bool) {
	switch {
	case w.driver == nil:
	case isGraceful(seen.made) || w.tender.fresh:
		w.tend(ctx)
	case ordered && len(w.tender.under) > 0:
		w.tender.due = time.Now() // a server may be lost
	}
}

// recall says whose connections a transition was for, where the router has
// given them up.
func (t *tender) recall(tr steer.Transition) steer.Transition {
	if before, known := t.under[tr.Prefix]; known && t.forced[tr.Prefix] {
		tr.From = before.From
	}
	return tr
}

// settle does what steer says of the transitions, and takes those that are
// over out of the report.
func (t *tender) settle(ctx context.Context, drainer drivers.Drainer, want steer.Assignment, report *tending) error {
	s := steer.Settle(want, report.under, t.drain.Idle, report.at)
	for _, tr := range report.under {
		if _, over := s.Over[tr.Prefix]; t.cut[tr.Prefix] && !over {
			s.Over[tr.Prefix] = steer.Forced
		}
	}
	for prefix := range s.Lost {
		t.forced[prefix] = true
	}
	if len(s.Lost) > 0 {
		if err := drainer.Release(ctx, s.Lost); err != nil {
			return err
		}
	}
	if len(s.Over) == 0 {
		return nil
	}
	if err := drainer.End(ctx, slices.SortedFunc(maps.Keys(s.Over), steer.ComparePrefix)); err != nil {
		return err
	}
	report.under = slices.DeleteFunc(report.under, func(tr steer.Transition) bool {
		outcome, over := s.Over[tr.Prefix]
		if over {
			report.ended = append(report.ended, ended{t.recall(tr), t.outcome(tr.Prefix, outcome)})
		}
		return over
	})
	return nil
}

// outcome is Forced, rather than Idle, for a transition that lost a server.
func (t *tender) outcome(prefix netip.Prefix, outcome steer.Outcome) steer.Outcome {
	if outcome == steer.Idle && t.forced[prefix] {
		return steer.Forced
	}
	return outcome
}

// vanished are the transitions that are gone though nobody here has ended them:
// the router did, when their time was over, or somebody else.
func (t *tender) vanished(under []steer.Transition, now time.Time) []ended {
	still := map[netip.Prefix]bool{}
	for _, tr := range under {
		still[tr.Prefix] = true
	}
	var gone []ended
	for prefix, tr := range t.under {
		switch {
		case still[prefix]:
		case tr.Count() == 0:
			gone = append(gone, ended{tr, t.outcome(prefix, steer.Idle)})
		case now.Add(nearEnd).Before(tr.Until):
			gone = append(gone, ended{tr, steer.Forced})
		default:
			gone = append(gone, ended{tr, steer.TimedOut})
		}
	}
	slices.SortFunc(gone, func(a, b ended) int { return steer.ComparePrefix(a.Prefix, b.Prefix) })
	return gone
}

// note remembers what goes on, and returns what has begun since.
func (t *tender) note(under []steer.Transition) (began []steer.Transition) {
	before, forced := t.under, t.forced
	t.under, t.forced = make(map[netip.Prefix]steer.Transition, len(under)), map[netip.Prefix]bool{}
	for _, tr := range under {
		t.under[tr.Prefix] = tr
		if forced[tr.Prefix] {
			t.forced[tr.Prefix] = true
		}
		if old, known := before[tr.Prefix]; !known || !slices.Equal(old.To, tr.To) {
			began = append(began, tr)
		}
	}
	return began
}

// plan sets when to look again. Where there are very many connections, a look
// takes long, and comes less often.
func (t *tender) plan(report tending, took time.Duration) {
	switch {
	case report.err != nil:
		t.due = time.Now().Add(tendRetry)
	case len(report.under) > 0:
		t.due = time.Now().Add(max(tendEvery, tendShare*took))
	}
}

// sudden is the changes without grace. What somebody else has changed is put
// right at once for all connections: those that exist belong where the route
// went before, and some of them may not have noticed yet.
func sudden(changes []steer.Change) []steer.Change {
	if !isGraceful(changes) {
		return changes
	}
	changes = slices.Clone(changes)
	for i := range changes {
		changes[i].Graceful = false
	}
	return changes
}

// isGraceful reports whether any of the changes leaves connections behind.
func isGraceful(changes []steer.Change) bool {
	return slices.ContainsFunc(changes, func(change steer.Change) bool { return change.Graceful })
}
