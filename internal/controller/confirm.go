package controller

import (
	"context"
	"slices"
	"time"

	"github.com/routesteer/routesteer/steer"
)

const (
	confirmWait = 30 * time.Second // default of TimeoutMs
	confirmMost = 10 * time.Minute
)

// A waiter waits until every router has confirmed an order, as far as it concerns some
// cohorts.
type waiter struct {
	seq      uint64
	want     steer.Assignment // by the order
	concerns func(*steer.Cohort) bool
	done     chan struct{}
}

// confirmation returns a waiter for the latest order.
func (c *Controller) confirmation(concerns func(*steer.Cohort) bool) *waiter {
	w := &waiter{seq: c.seq, want: c.want, concerns: concerns, done: make(chan struct{})}
	c.waiters[w] = true
	c.wake()
	return w
}

// wake ends the waits that are over.
func (c *Controller) wake() {
	for w := range c.waiters {
		if c.confirmed(w) {
			close(w.done)
			delete(c.waiters, w)
		}
	}
}

// confirmed reports whether every router has done what is waited for: the order, or the last
// one, if that sends any of the cohorts elsewhere.
func (c *Controller) confirmed(w *waiter) bool {
	seq := w.seq
	if slices.ContainsFunc(c.want.Changed(w.want), func(cohort *steer.Cohort) bool {
		return w.concerns(cohort) && !slices.Equal(w.want.For(cohort).Servers, c.want.For(cohort).Servers)
	}) {
		seq = c.seq
	}
	for _, r := range c.routers {
		if !r.hasDone(seq, c.cohorts, w.concerns) {
			return false
		}
	}
	return true
}

// hasDone reports whether the router has read back an order, as far as it concerns those
// cohorts: what change_limit holds of others is no matter.
func (r *router) hasDone(seq uint64, cohorts *steer.Cohorts, concerns func(*steer.Cohort) bool) bool {
	if r.confirmed >= seq {
		return true
	}
	return r.last.seq >= seq && r.last.held != nil && !slices.ContainsFunc(r.last.held.held, func(change steer.Change) bool {
		cohort := cohorts.Of(change.Prefixes[0])
		return cohort != nil && concerns(cohort)
	})
}

// waitFor waits until w is confirmed, the time is over, or nobody asks any
// more.
func (c *Controller) waitFor(ctx context.Context, w *waiter, timeoutMs int64) {
	limit := confirmWait
	if timeoutMs > 0 {
		limit = time.Duration(min(timeoutMs, confirmMost.Milliseconds())) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-w.done:
	case <-ctx.Done():
	case <-c.stopped:
	}
}
