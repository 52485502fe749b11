package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/internal/api"
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

	cuts chan []netip.Prefix   // whose connections are not to be waited for
	cut  map[netip.Prefix]bool // of the last taken from cuts, until done
}

func newTender(drain topology.Drain, tended chan<- tending) *tender {
	return &tender{drain: drain, tended: tended, cuts: make(chan []netip.Prefix)}
}

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
	t.due = time.Time{}
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
		t.note(report.under)
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
	case isGraceful(seen.made) || w.tender.under == nil:
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

// note remembers what goes on.
func (t *tender) note(under []steer.Transition) {
	forced := t.forced
	t.under, t.forced = map[netip.Prefix]steer.Transition{}, map[netip.Prefix]bool{}
	for _, tr := range under {
		t.under[tr.Prefix] = tr
		if forced[tr.Prefix] {
			t.forced[tr.Prefix] = true
		}
	}
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

// isGraceful reports whether any of the changes leaves connections behind.
func isGraceful(changes []steer.Change) bool {
	return slices.ContainsFunc(changes, func(change steer.Change) bool { return change.Graceful })
}

// tend takes in what a worker reports of its router's transitions.
func (c *Controller) tend(report tending) {
	r := c.routers[report.worker.router.Name]
	if r == nil || r.worker != report.worker {
		return // of a worker that has been replaced
	}
	if report.err != nil {
		if message(r.tendErr) != message(report.err) {
			c.record(api.Event{Kind: "transition", Router: string(report.worker.router.Name), Reason: message(report.err)})
		}
		r.tendErr = report.err
		return
	}
	r.tendErr = nil
	if text := message(report.cuts); text != "" && text != message(r.cuts) {
		c.record(api.Event{Kind: "transition", Router: string(report.worker.router.Name), To: "impossible", Reason: "planned moves cut connections: " + text})
	}
	was := r.under
	r.under, r.cuts = report.under, report.cuts
	c.recordTransitions(report, was)
	outcomes := maps.Clone(r.outcomes)
	if outcomes == nil {
		outcomes = map[netip.Prefix]outcome{}
	}
	for _, over := range report.ended {
		outcomes[over.Prefix] = outcome{ended: over, at: report.at}
	}
	for _, tr := range report.under {
		delete(outcomes, tr.Prefix)
	}
	r.outcomes = outcomes
}

// cut ends the transitions that leave connections at a server, on all routers.
func (c *Controller) cut(ctx context.Context, server topology.ServerName, by string) error {
	ends := map[*worker][]netip.Prefix{}
	err := c.do(ctx, func() {
		owner := steer.Owners(c.site)
		for _, r := range c.routers {
			for _, tr := range r.under {
				if slices.ContainsFunc(places(tr), func(hops []steer.NextHop) bool { return slices.Contains(steer.ServersOf(owner, hops), server) }) {
					ends[r.worker] = append(ends[r.worker], tr.Prefix)
				}
			}
		}
		if len(ends) > 0 {
			c.record(api.Event{Kind: "admin", Server: string(server), To: "cut", By: by, Reason: "connections that are left are not waited for"})
		}
	})
	for w, prefixes := range ends {
		select {
		case w.tender.cuts <- prefixes:
		case <-w.done: // replaced: its successor's transitions end in time
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// places are where a transition may leave connections.
func places(tr steer.Transition) [][]steer.NextHop {
	all := [][]steer.NextHop{tr.From}
	for _, left := range tr.Left {
		all = append(all, left.At)
	}
	return all
}

// transitionsConcerned reports whether a server is lost, or back, at which a
// transition may have left connections.
func (c *Controller) transitionsConcerned(before steer.Assignment) bool {
	under := false
	for _, r := range c.routers {
		under = under || len(r.under) > 0
	}
	return under && slices.ContainsFunc(c.cohorts.All(), func(cohort *steer.Cohort) bool {
		return !slices.Equal(before.For(cohort).Gone, c.want.For(cohort).Gone)
	})
}

// warnOfCuts says, before an operator's move, on which routers it cuts
// connections.
func (c *Controller) warnOfCuts() {
	for _, name := range slices.Sorted(maps.Keys(c.routers)) {
		if cuts := c.routers[name].cuts; cuts != nil {
			c.record(api.Event{Kind: "transition", Router: string(name), To: "impossible", Reason: "this move cuts connections: " + message(cuts)})
		}
	}
}

// An outcome is how a prefix's last transition ended.
type outcome struct {
	ended
	at time.Time
}

// recordTransitions records beginnings and ends, those that are alike in one
// event.
func (c *Controller) recordTransitions(report tending, was []steer.Transition) {
	began := slices.DeleteFunc(slices.Clone(report.under), func(tr steer.Transition) bool {
		return slices.ContainsFunc(was, func(old steer.Transition) bool {
			return old.Prefix == tr.Prefix && !tr.Since.After(old.Since.Add(nearEnd))
		})
	})
	c.recordAlike(report, began, "connections may stay until "+report.at.Add(report.worker.tender.drain.Timeout).Format(time.TimeOnly))
	for _, how := range []steer.Outcome{steer.Idle, steer.TimedOut, steer.Forced} {
		var over []steer.Transition
		for _, e := range report.ended {
			if e.outcome == how {
				over = append(over, e.Transition)
			}
		}
		c.recordAlike(report, over, string(how)+": "+endText(over))
	}
}

// endText says how many connections were left.
func endText(over []steer.Transition) string {
	left := 0
	for _, tr := range over {
		left += tr.Count()
	}
	if left == 0 {
		return "no connection is left"
	}
	return fmt.Sprintf("%d connections were left and are cut", left)
}

func (c *Controller) recordAlike(report tending, all []steer.Transition, why string) {
	owner := steer.Owners(c.site)
	alike := map[string][]steer.Transition{}
	for _, tr := range all {
		key := via(owner, tr.From) + " to " + via(owner, tr.To)
		alike[key] = append(alike[key], tr)
	}
	for _, key := range slices.Sorted(maps.Keys(alike)) {
		first := alike[key][0]
		event := api.Event{
			Kind: "transition", Router: string(report.worker.router.Name), VIP: first.Prefix.String(),
			From: via(owner, first.From), To: via(owner, first.To), Reason: why,
		}
		if more := len(alike[key]) - 1; more > 0 {
			event.Reason = fmt.Sprintf("and %d more: %s", more, why)
		}
		c.record(event)
	}
}

// Transitions implements api.Operator.
func (c *Controller) Transitions(ctx context.Context, server string) ([]api.Transition, error) {
	var v view
	if err := c.do(ctx, func() { v = c.view() }); err != nil {
		return nil, err
	}
	return v.transitions(topology.ServerName(server)), nil
}

// transitions lists what is under way, and how what was ended: of all, or of
// those that leave, or left, connections at a server.
func (v view) transitions(server topology.ServerName) []api.Transition {
	owner := steer.Owners(v.site)
	all := []api.Transition{}
	for name, r := range v.routers {
		for _, tr := range r.under {
			all = append(all, v.transition(owner, name, tr))
		}
		for _, over := range r.outcomes {
			row := v.transition(owner, name, over.Transition)
			row.State, row.Ended = string(over.outcome), over.at
			all = append(all, row)
		}
	}
	all = slices.DeleteFunc(all, func(row api.Transition) bool { return server != "" && !row.Concerns(string(server)) })
	slices.SortFunc(all, func(a, b api.Transition) int {
		return cmp.Or(cmp.Compare(a.Router, b.Router), cmp.Compare(a.VIP, b.VIP))
	})
	return all
}

func (v view) transition(owner map[netip.Addr]topology.ServerName, router topology.RouterName, tr steer.Transition) api.Transition {
	row := api.Transition{
		Router: string(router), VIP: tr.Prefix.String(), From: words(steer.ServersOf(owner, tr.From)), To: words(steer.ServersOf(owner, tr.To)),
		State: api.Ending, Left: []api.Left{}, Since: tr.Since, Until: tr.Until, Overflow: tr.Overflow,
	}
	if vip, known := v.site.VIP(tr.Prefix); known {
		row.Name = vip.Name
	}
	for _, left := range tr.Left {
		row.Left = append(row.Left, api.Left{Servers: words(steer.ServersOf(owner, left.At)), Connections: left.Flows})
	}
	return row
}
