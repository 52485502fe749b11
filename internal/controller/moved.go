package controller

import (
	"context"
	"maps"
	"time"

	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/topology"
)

// What failures move on a router with a change_limit is noted in the file of intent, so
// that a restart is no way round the limit. That is done afterwards, because the traffic
// of a lost server does not wait for a disk: what a router was just told when the
// controller is killed is not counted. When it is stopped, all is.

// unnoted reports whether failures moved something on a router that is not noted yet.
func (c *Controller) unnoted(name topology.RouterName) bool {
	r := c.routers[name]
	return r != nil && len(r.last.moved) > 0 && !lastOf(r.last.moved).Equal(lastOf(c.intent.Moved[name]))
}

func lastOf(moved []state.Moves) time.Time {
	if len(moved) == 0 {
		return time.Time{}
	}
	return moved[len(moved)-1].At
}

// noteMoved keeps what failures have moved, if there is news of that.
func (c *Controller) noteMoved(ctx context.Context) error {
	release, err := c.alone(ctx)
	if err != nil {
		return err
	}
	defer release()
	next, news := state.Intent{}, false
	if err := c.do(ctx, func() { next, news = c.withMoved() }); err != nil || !news {
		return err
	}
	if err := state.Save(c.options.StateFile, next); err != nil {
		return err
	}
	return c.do(context.WithoutCancel(ctx), func() { c.intent.Moved = next.Moved })
}

// withMoved is the intent with what failures have moved, and whether that is news.
// Routers that are in the file no more are forgotten.
func (c *Controller) withMoved() (next state.Intent, news bool) {
	next = c.intent.Clone()
	for name, r := range c.routers {
		if c.unnoted(name) {
			next.Moved[name], news = r.last.moved, true
		}
	}
	maps.DeleteFunc(next.Moved, func(name topology.RouterName, _ []state.Moves) bool { return c.routers[name] == nil })
	return next, news
}

// noteLastMoves keeps what failures have moved until the workers ended, which nobody has
// heard of any more. Whoever was keeping a wish has had the last word about that: it may be
// on the disk alone.
func (c *Controller) noteLastMoves() error {
	for _, r := range c.routers {
		r.last.moved = r.worker.limit.made
	}
	next, news := c.withMoved()
	if !news {
		return nil
	}
	c.changing <- struct{}{}
	defer func() { <-c.changing }()
	kept, err := state.Load(c.options.StateFile)
	if err != nil {
		return err
	}
	kept.Moved = next.Moved
	return state.Save(c.options.StateFile, kept)
}

// byOurClock gives what was noted times that stay as far in the past if the clock is set
// (they have a monotonic reading), and none later than now: it may have been put back.
func byOurClock(moved map[topology.RouterName][]state.Moves, now time.Time) {
	for _, all := range moved {
		for i := range all {
			all[i].At = now.Add(min(all[i].At.Sub(now), 0))
		}
	}
}
