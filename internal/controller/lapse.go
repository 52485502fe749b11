package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/topology"
)

const (
	// ourselves is who does what operators asked to be done by itself.
	ourselves = "routesteer"
	// stable is how long a server must be well after its reboot where no failback
	// policy says it.
	stable = time.Minute
	// lapseRetry is after an end that could not be kept, as on a full disk.
	lapseRetry = 10 * time.Second
	// rebootRetry is after a server that is to reboot is down, and that is not believed.
	rebootRetry = time.Second
)

// keepEnds ends drains and pins that were asked for until a time, or until a
// reboot, and notes what failures move, until ctx is done. It is a goroutine of its
// own, because it writes.
func (c *Controller) keepEnds(ctx context.Context) {
	for {
		var due time.Time
		if err := c.do(ctx, func() { due = c.nextEnd(time.Now()) }); err != nil {
			return // stopped
		}
		select {
		case <-ctx.Done():
			return
		case <-c.poked:
		case <-after(due):
		}
		if err := errors.Join(c.endDue(ctx), c.noteMoved(ctx)); err != nil && ctx.Err() == nil {
			c.log.Warn("the end of what operators asked for, or what failures have moved, could not be kept; it is tried again", "err", err)
			pause := time.NewTimer(lapseRetry)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			pause.Stop()
		}
	}
}

// poke has keepEnds look again. It never waits.
func (c *Controller) poke() {
	select {
	case c.poked <- struct{}{}:
	default:
	}
}

// nextEnd is when something is over though nothing happens; zero for never.
func (c *Controller) nextEnd(now time.Time) time.Time {
	if slices.ContainsFunc(slices.Collect(maps.Keys(c.routers)), c.unnoted) {
		return now
	}
	var next time.Time
	for name, drain := range c.intent.Drains {
		next = earlier(next, drain.Until)
		if drain.Reboot == state.RebootSeen {
			if due, well := c.wellFrom(name); well {
				next = earlier(next, due) // it may be over already, while another was ended
			}
		} else if drain.Reboot == state.RebootAwaited && c.isDown(name) {
			next = earlier(next, now.Add(rebootRetry))
		}
	}
	for _, servers := range c.intent.Off {
		for _, drain := range servers {
			next = earlier(next, drain.Until)
		}
	}
	for _, pin := range c.intent.Pins {
		next = earlier(next, pin.Until)
	}
	return earlier(next, c.nextSpent(now))
}

// endDue ends what is over, and notes reboots.
func (c *Controller) endDue(ctx context.Context) error {
	var servers []topology.ServerName
	if err := c.do(ctx, func() { servers = c.overdue(time.Now()) }); err != nil {
		return err
	}
	w := &wish{by: ourselves}
	w.edit = func(intent *state.Intent, now time.Time) ([]api.Event, error) {
		return c.forget(intent, w, now, c.endAll(intent, w, now)), nil
	}
	if len(servers) > 0 {
		w.prove = func(ctx context.Context, _ prospect) error { return c.look(ctx, servers) }
	}
	_, err := c.commit(ctx, w)
	return err
}

// overdue are the servers whose drain or maintenance is over.
func (c *Controller) overdue(now time.Time) []topology.ServerName {
	var servers []topology.ServerName
	for _, name := range slices.Sorted(maps.Keys(c.intent.Drains)) {
		if c.endOf(name, c.intent.Drains[name], now) != "" {
			servers = append(servers, name)
		}
	}
	return append(servers, c.maintenanceOver(c.intent, now)...)
}

// endAll ends in the intent what is over, and notes in the wish what traffic may return by that,
// and who has gone down that is to be back after a reboot.
func (c *Controller) endAll(intent *state.Intent, w *wish, now time.Time) []api.Event {
	var events []api.Event
	ended := func(server topology.ServerName, vip, why string, drain state.Drain) {
		events = append(events, api.Event{
			Kind: api.AdminEvent, Server: string(server), VIP: vip, From: "drain", To: "ready", Reason: why, LastedMs: now.Sub(drain.Since).Milliseconds(),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(intent.Drains)) {
		drain := intent.Drains[name]
		if why := c.endOf(name, drain, now); why != "" {
			delete(intent.Drains, name)
			w.recalls = append(w.recalls, state.Recall{Server: name})
			ended(name, "", why, drain)
		} else if drain.Reboot == state.RebootAwaited && c.isDown(name) && c.failsSince(name, drain.Asked) && c.believes(name) {
			drain.Reboot = state.RebootSeen
			intent.Drains[name] = drain
			events = append(events, api.Event{Kind: api.AdminEvent, Server: string(name), From: "drain", To: "drain", Reason: "it has gone down for its reboot"})
		}
	}
	for prefix, servers := range intent.Off {
		for _, name := range slices.Sorted(maps.Keys(servers)) {
			if drain := servers[name]; over(drain.Until, now) {
				intent.Give(name, prefix)
				w.recalls = append(w.recalls, state.Recall{Server: name, VIP: prefix})
				ended(name, prefix.String(), untilOver(drain.Until), drain)
			}
		}
	}
	for prefix, pin := range intent.Pins {
		if over(pin.Until, now) {
			w.recalls = append(w.recalls, state.Recall{VIP: prefix})
			for _, event := range unpin(intent, prefix) {
				event.Reason = untilOver(pin.Until)
				events = append(events, event)
			}
		}
	}
	return events
}

// endOf says why a drain is over, or "".
func (c *Controller) endOf(name topology.ServerName, drain state.Drain, now time.Time) string {
	if over(drain.Until, now) {
		return untilOver(drain.Until)
	}
	if drain.Reboot != state.RebootSeen {
		return ""
	}
	due, well := c.wellFrom(name)
	if !well || due.After(now) {
		return ""
	}
	return "it has rebooted and is well again"
}

func over(until, now time.Time) bool { return !until.IsZero() && !until.After(now) }

func untilOver(until time.Time) string {
	return fmt.Sprintf("it was asked for until %s", until.Format(time.RFC3339))
}

// states are what is known of a server, as all its judges see it.
func (c *Controller) states(name topology.ServerName) []health.State {
	var states []health.State
	for _, judge := range c.site.Judges() {
		if slices.Contains(judge.Servers, name) {
			states = append(states, c.board.State(health.Target{Server: name, VIP: judge.VIP.Prefix}))
		}
	}
	return states
}

// isDown reports whether all that is known speaks against a server.
func (c *Controller) isDown(name topology.ServerName) bool {
	states := c.states(name)
	return len(states) > 0 && !slices.ContainsFunc(states, func(s health.State) bool { return s.Verdict != health.Down })
}

// failsSince reports whether the last checks of a server that is down began no earlier than a moment,
// and failed: one that has flapped, and is not trusted again yet, has not rebooted by that,
// nor one that was down before.
func (c *Controller) failsSince(name topology.ServerName, then time.Time) bool {
	return !slices.ContainsFunc(c.states(name), func(s health.State) bool { return s.Streak > 0 || s.LastCheck.Before(then) })
}

// believes reports whether a server that is down is not so in appearance only: a
// controller that was cut off for a moment must not take that for a reboot.
func (c *Controller) believes(name topology.ServerName) bool {
	in := c.input(time.Now())
	if len(c.site.Policy.Witness) == 0 {
		return in.Frozen() == ""
	}
	heard, silent := c.board.Witness()
	return in.Frozen() == "" && !slices.ContainsFunc(c.states(name), func(s health.State) bool {
		return !heard.After(s.Since) || s.LastCheck.Before(silent)
	})
}

// wellFrom is when a server whose checks all pass will have been well for long
// enough; false if they do not.
func (c *Controller) wellFrom(name topology.ServerName) (time.Time, bool) {
	states := c.states(name)
	var since time.Time
	for _, s := range states {
		if s.Verdict != health.Up {
			return time.Time{}, false
		}
		if s.Since.After(since) {
			since = s.Since
		}
	}
	wait := stable
	if failback := c.site.Policy.Failback; failback.Mode == topology.FailbackAfter {
		wait = failback.After
	}
	return since.Add(wait), len(states) > 0
}

// noteReboots pokes keepEnds when a server that is to reboot has gone down, or come
// back.
func (c *Controller) noteReboots(flips []health.Flip) {
	for _, flip := range flips {
		if c.intent.Drains[flip.Target.Server].Reboot != state.NoReboot {
			c.poke()
			return
		}
	}
}
