package controller

import (
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// observe takes in news, and decides if it changes anything. Routers get their
// orders before anybody is told why, and before the senses are.
func (c *Controller) observe(batch []health.News) {
	var events []func() api.Event
	var flipped []health.Flip
	moved := false
	for _, news := range batch {
		flips := c.board.Observe(news)
		flipped = append(flipped, flips...)
		c.noteFalls(flips)
		for i := range flips {
			events = append(events, func() api.Event { return c.flipEvent(flips[i]) })
		}
		switch news := news.(type) {
		case health.Result:
			c.tally.result(c.site, news)
			// Whether traffic stays where an outage left it, and whether a loss is believed,
			// is decided by results that change no verdict.
			moved = moved || c.doubted || c.stays(news.Target)
		case health.Heard:
			moved = moved || c.doubted || c.passing.silent // a witness was waited for, or missed
		case health.Loss, health.Found:
			events = append(events, func() api.Event { return echoEvent(news) })
			moved = true // to another address of the server, perhaps
		}
	}
	if moved || len(flipped) > 0 {
		c.decide(time.Now(), events...)
	}
	c.noteReboots(flipped)
	if slices.ContainsFunc(flipped, func(flip health.Flip) bool { return flip.To == health.Down && flip.From != flip.To }) {
		c.retryFights(time.Now())
	}
	for _, flip := range flipped {
		c.pace(flip.Target)
	}
	for _, news := range batch {
		if result, ok := news.(health.Result); ok {
			c.pace(result.Target)
		}
	}
}

// noteFalls notes which servers were well, and are down.
func (c *Controller) noteFalls(flips []health.Flip) {
	for _, flip := range flips {
		if flip.From == health.Up && flip.To == health.Down {
			c.fell[flip.Target.Server] = flip.At
		}
	}
}

// stays reports whether a result is about a VIP that stays where an outage left it.
func (c *Controller) stays(target health.Target) bool {
	return slices.ContainsFunc(c.board.Wholes(target), func(whole health.Target) bool { return c.kept[whole.VIP] })
}

// input is what is known now.
func (c *Controller) input(now time.Time) steer.Input { return c.view().input(now) }

// recallMaintained lets traffic return to servers whose maintenance is over since the
// last decision: at once to those that are well, without waiting for that to be kept.
func (c *Controller) recallMaintained(in *steer.Input) {
	under := steer.Maintained(c.site, in.Now)
	for name := range c.off {
		if _, still := under[name]; !still {
			in.Recalled.Add(steer.Place{Server: name}, in.Now)
		}
	}
	c.off = under
}

// decide decides everything anew, hands out orders if that changes what any
// router should do, and then records the events that led to it and came of it.
func (c *Controller) decide(now time.Time, events ...func() api.Event) {
	if len(c.pending) > 0 && !now.Before(c.giveUp) {
		c.adopt()
	}
	before := c.want
	in, off := c.input(now), c.off
	c.recallMaintained(&in)
	c.want = steer.Desired(in)
	if len(c.pending) > 0 {
		c.want = c.unread(c.want)
	}
	if !c.want.SameRoutes(before) || c.behind() && !c.want.SameManner(before) || c.transitionsConcerned(before) {
		c.order(now)
	}
	c.tellPaths()
	c.tellPaces()
	c.dueAt = earlier(earlier(c.want.NextDue(), steer.NextWindow(c.site, now)), nextRehearsal(c.site, now))
	c.askWitness()
	for _, event := range events {
		c.record(event())
	}
	c.recordMaintenance(off, now)
	c.recordFreeze(before, now)
	c.recordMoves(before, now)
	c.recordReminders(now)
	c.recordWitness(now)
	c.passing.next = c.nextPassing()
	if len(c.intent.Recalls) > 0 || !c.intent.Resumed.IsZero() {
		c.poke() // a word may have served its purpose
	}
}

// behind reports whether a router does not have, as far as is known, what is wanted.
func (c *Controller) behind() bool {
	for _, r := range c.routers {
		if r.last.err != nil || r.confirmed != c.seq {
			return true
		}
	}
	return false
}

// askWitness has the witnesses asked when a move waits for their answer.
func (c *Controller) askWitness() {
	was := c.doubted
	c.doubted = c.want.Doubted()
	if c.doubted && !was {
		c.prober.Ask()
	}
}

// unread claims nothing for VIPs whose routes have not been seen yet.
func (c *Controller) unread(want steer.Assignment) steer.Assignment {
	unread := make(map[*steer.Cohort]steer.Want, len(c.pending))
	for cohort := range c.pending {
		unread[cohort] = steer.Want{Cause: steer.Unclaimed, Why: "the routers' routes have not been read yet"}
	}
	return want.Replace(c.cohorts, unread)
}

// order gives every router the present assignment.
func (c *Controller) order(now time.Time) {
	c.seq++
	for _, r := range c.routers {
		r.worker.give(order{seq: c.seq, want: c.want, at: now})
	}
}

// retryFights has routers write again what they leave alone, where the other
// program sends the traffic to a server that is down or drained: peace is not
// worth that.
func (c *Controller) retryFights(now time.Time) {
	for _, r := range c.routers {
		if retry := c.worthAnother(r); len(retry) > 0 {
			r.worker.give(order{seq: c.seq, want: c.want, at: now, retry: retry})
		}
	}
}

// worthAnother are the prefixes that the router leaves alone although their
// traffic goes to a server that is down or drained.
func (c *Controller) worthAnother(r *router) map[netip.Prefix]bool {
	if len(r.last.fought) == 0 {
		return nil
	}
	in, owner := c.input(time.Now()), steer.Owners(c.site)
	retry := map[netip.Prefix]bool{}
	for _, prefix := range r.last.fought {
		if cohort := c.cohorts.Of(prefix); cohort != nil && c.sendsToLost(in, owner, cohort, r.table.PartsOf(cohort, []netip.Prefix{prefix})) {
			retry[prefix] = true
		}
	}
	return retry
}

// sendsToLost reports whether routes of a cohort lead to a server that is down or
// drained.
func (c *Controller) sendsToLost(in steer.Input, owner map[netip.Addr]topology.ServerName, cohort *steer.Cohort, parts []steer.Part) bool {
	return slices.ContainsFunc(parts, func(part steer.Part) bool {
		return part.Ours != nil && slices.ContainsFunc(steer.ServersOf(owner, part.Ours.NextHops), func(name topology.ServerName) bool {
			return in.Off(name, cohort) != "" || c.board.State(health.Target{Server: name, VIP: cohort.Judge}).Verdict == health.Down
		})
	})
}
