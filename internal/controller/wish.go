package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A wish is what an operator asks for.
type wish struct {
	by        string
	timeoutMs int64
	about     api.Moved // the answer, as far as the wish alone says

	// edit changes a copy of the intent, and tells what it changed; nil if that is the
	// intent already, and empty for what nobody needs to be told. It runs in the loop.
	edit func(*state.Intent, time.Time) ([]api.Event, error)
	// prove makes sure, before anything is touched, that the next intent does no harm.
	prove func(ctx context.Context, next prospect) error

	recalls  []state.Recall // traffic that may return by it; edit may add some
	concerns func(cohort *steer.Cohort, was, want steer.Want) bool
}

// recall notes in the intent what traffic may return by the wish, from now on.
func (w *wish) recall(intent *state.Intent, now time.Time) {
	for _, r := range w.recalls {
		r.Since = now.Round(0)
		intent.Recall(r)
	}
}

// A prospect is what the intent would be, and the cohorts that it makes.
type prospect struct {
	intent  state.Intent
	cohorts *steer.Cohorts
}

// A step is an operator's wish that has been acted on, and who waits for it.
type step struct {
	before    steer.Assignment
	confirmed *waiter
}

// grant proves, keeps and acts on a wish, and waits for the routers. Wishes are
// granted one at a time, but do not wait for each other's routers.
func (c *Controller) grant(ctx context.Context, w *wish) (*api.Moved, error) {
	taken, err := c.commit(ctx, w)
	if err != nil {
		return nil, err
	}
	if taken == nil {
		return c.unchanged(ctx, w)
	}
	c.waitFor(ctx, taken.confirmed, w.timeoutMs)
	var moved *api.Moved
	err = c.do(context.WithoutCancel(ctx), func() {
		delete(c.waiters, taken.confirmed)
		moved = c.moved(w, taken.before, taken.confirmed)
	})
	return moved, err
}

// commit proves, keeps and acts on a wish. It returns nil if nothing is to be
// changed.
func (c *Controller) commit(ctx context.Context, w *wish) (*step, error) {
	release, err := c.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	next, events, err := c.edited(ctx, w)
	if err != nil || events == nil {
		return nil, err
	}
	if w.prove != nil {
		if err := w.prove(ctx, next); err != nil {
			c.noteRefusal(ctx, w, err)
			return nil, err
		}
		w.recall(&next.intent, time.Now()) // who has just failed the proof is to return, too
	}
	if err := state.Save(c.options.StateFile, next.intent); err != nil {
		failure := &api.Error{
			Code:    api.Unavailable,
			Message: fmt.Sprintf("nothing changed: %v", err),
			Hint:    "intent must survive a restart before it is acted on: make room or give the right to write there",
		}
		c.noteRefusal(ctx, w, failure)
		return nil, failure
	}
	var taken *step
	// Durable now: it must also take effect, even if the operator has gone.
	err = c.do(context.WithoutCancel(ctx), func() { taken = c.act(w, next, events) })
	return taken, err
}

// noteRefusal records that an operator asked for what was refused, and why.
func (c *Controller) noteRefusal(ctx context.Context, w *wish, err error) {
	failure := (*api.Error)(nil)
	if !errors.As(err, &failure) || failure.Code != api.Refused && failure.Code != api.Unavailable || w.about.Did == "" {
		return
	}
	event := api.Event{Kind: api.AdminEvent, Server: strings.Join(w.about.Servers, ","), To: toRefused, By: w.by, Reason: w.about.Did + ": " + failure.Message}
	if len(failure.Details) > 0 {
		event.Reason += ": " + strings.Join(failure.Details, "; ")
	}
	// Whoever asked hears it anyway; one that is stopping records nothing more.
	_ = c.do(context.WithoutCancel(ctx), func() { c.record(event) })
}

// edited is what the wish would make of the intent, and the events of that.
func (c *Controller) edited(ctx context.Context, w *wish) (next prospect, events []api.Event, err error) {
	stop := c.do(ctx, func() {
		next = prospect{intent: followed(c.intent, c.site), cohorts: c.cohorts}
		events, err = w.edit(&next.intent, time.Now())
		w.recall(&next.intent, time.Now())
	})
	if stop != nil {
		return next, nil, stop
	}
	// It costs as much as there are VIPs, which the loop should not pay; the site
	// stays, because we are alone.
	if err == nil {
		next.cohorts = next.cohorts.Divide(asked(next.intent).Apart()...)
	}
	return next, events, err
}

// act makes the next intent the present one.
func (c *Controller) act(w *wish, next prospect, events []api.Event) *step {
	taken := &step{before: c.want}
	c.intent = next.intent
	regrouped := next.cohorts != c.cohorts
	if regrouped {
		c.regroup(next.cohorts)
	}
	c.warnOfCuts()
	var record []func() api.Event
	for _, event := range events {
		event.By = w.by
		record = append(record, func() api.Event { return event })
	}
	c.decide(time.Now(), record...)
	if regrouped {
		c.order(time.Now()) // the workers are new, and have no order yet
	}
	c.retryFights(time.Now())
	c.poke()
	taken.confirmed = c.confirmation(c.concerned(w, taken.before))
	return taken
}

// regroup steers other cohorts of the same site, or another site's.
func (c *Controller) regroup(cohorts *steer.Cohorts) {
	c.cohorts = cohorts
	c.await()
	c.startRouters()
	c.paceAll()
}

// unchanged is the answer to a wish for what is.
func (c *Controller) unchanged(ctx context.Context, w *wish) (*api.Moved, error) {
	var moved *api.Moved
	err := c.do(ctx, func() {
		moved = c.moved(w, c.want, &waiter{seq: c.seq, want: c.want, concerns: c.concerned(w, c.want)})
		moved.Unchanged = true
	})
	return moved, err
}

// concerned are the cohorts that a wish is about, by what was wanted before.
func (c *Controller) concerned(w *wish, before steer.Assignment) func(*steer.Cohort) bool {
	return func(cohort *steer.Cohort) bool {
		return w.concerns != nil && w.concerns(cohort, before.For(cohort), c.want.For(cohort))
	}
}

// moved says what became of the VIPs that a wish concerns, and which routers have
// confirmed that.
func (c *Controller) moved(w *wish, before steer.Assignment, order *waiter) *api.Moved {
	moved := w.about
	moved.VIPs, moved.Routers, moved.Cut, moved.Confirmed = []api.Move{}, []api.Router{}, []string{}, true
	blocked := c.blocked()
	for _, cohort := range c.cohorts.All() {
		was, want := before.For(cohort), c.want.For(cohort)
		if !w.concerns(cohort, was, want) {
			continue
		}
		for _, entry := range cohort.Entries {
			moved.VIPs = append(moved.VIPs, api.Move{
				VIP: entry.VIP.Prefix.String(), VIPs: several(len(entry.Prefixes)), Name: entry.VIP.Name,
				From: words(was.Servers), To: words(want.Servers), Reason: want.Reason(),
			})
		}
		moved.Confirmed = moved.Confirmed && !blocked[cohort]
	}
	moved.Routers = c.view().routerStatus()
	for _, router := range moved.Routers {
		// One that has confirmed, and cannot be read now, may have lost its routes since.
		holds := c.routers[topology.RouterName(router.Name)].last.held != nil
		moved.Confirmed = moved.Confirmed && (router.Error == "" || holds)
		if router.Cuts != "" {
			moved.Cut = append(moved.Cut, router.Name+": "+router.Cuts)
		}
	}
	moved.Confirmed = moved.Confirmed && c.confirmed(order)
	return &moved
}

// blocked are the cohorts that a foreign route, or a fight, keeps from being
// steered, in part at least, on any router.
func (c *Controller) blocked() map[*steer.Cohort]bool {
	blocked := map[*steer.Cohort]bool{}
	for _, r := range c.routers {
		for _, prefix := range r.last.fought {
			blocked[c.cohorts.Of(prefix)] = true
		}
		for _, route := range r.last.left.Foreign {
			blocked[c.cohorts.Of(route.Prefix)] = true
		}
	}
	return blocked
}
