package controller

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/api"
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
		for i := range flips {
			events = append(events, func() api.Event { return c.flipEvent(flips[i]) })
		}
		switch news := news.(type) {
		case health.Result:
			// Whether traffic stays where an outage left it, and whether a loss is believed,
			// is decided by results that change no verdict.
			moved = moved || c.doubted || c.stays(news.Target)
		case health.Heard:
			moved = moved || c.doubted // a witness was waited for
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

// stays reports whether a result is about a VIP that stays where an outage left it.
func (c *Controller) stays(target health.Target) bool {
	return slices.ContainsFunc(c.board.Wholes(target), func(whole health.Target) bool { return c.kept[whole.VIP] })
}

func echoEvent(news health.News) api.Event {
	switch news := news.(type) {
	case health.Loss:
		return api.Event{Time: news.At, Kind: "echo", Server: string(news.Server), To: "lost", Reason: news.Failure + " (" + news.Address.String() + ")"}
	case health.Found:
		return api.Event{Time: news.At, Kind: "echo", Server: string(news.Server), To: "answers", Reason: news.Address.String()}
	default:
		panic(fmt.Sprintf("controller: no such news of echo: %T", news))
	}
}

func (c *Controller) flipEvent(flip health.Flip) api.Event {
	if flip.Target.Member != "" {
		flip.Why = "check " + string(flip.Target.Member) + ": " + flip.Why
	}
	if flip.From == flip.To {
		return api.Event{
			Time: flip.At, Kind: "agent", Server: string(flip.Target.Server), VIP: flip.Target.VIP.String(), VIPs: several(c.judged[flip.Target.VIP]),
			By: "agent", Reason: flip.Why,
		}
	}
	return api.Event{
		Time: flip.At, Kind: "verdict", Server: string(flip.Target.Server), VIP: flip.Target.VIP.String(), VIPs: several(c.judged[flip.Target.VIP]),
		From: flip.From.String(), To: flip.To.String(), Reason: flip.Why,
	}
}

// several is a number as the API tells it: 0 where there is but one.
func several(n int) int {
	if n == 1 {
		return 0
	}
	return n
}

// input is what is known now.
func (c *Controller) input(now time.Time) steer.Input {
	in := c.view().input(now)
	in.Recalled, in.Hurried = c.recalled, c.hurried
	return in
}

// recallMaintained lets traffic return to servers whose maintenance is over since
// the last decision.
func (c *Controller) recallMaintained(in *steer.Input) {
	under := steer.Maintained(c.site, in.Now)
	for name := range c.off {
		if _, still := under[name]; still {
			continue
		}
		servers := map[topology.ServerName]bool{name: true}
		maps.Copy(servers, in.Recalled.Servers)
		in.Recalled.Servers = servers
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
	moved := !c.want.SameRoutes(before)
	if moved || c.transitionsConcerned(before) {
		c.order(now)
	}
	c.tellPaths()
	due := earlier(earlier(c.want.NextDue(), steer.NextWindow(c.site, now)), nextRehearsal(c.site, now))
	if moved || !due.Equal(c.dueAt) {
		c.tellPaces()
	}
	c.dueAt = due
	c.askWitness()
	for _, event := range events {
		c.record(event())
	}
	c.recordMaintenance(off, now)
	c.recordFreeze(before, now)
	c.recordMoves(before, now)
}

// recordMaintenance records whose maintenance has begun or ended since servers were
// off.
func (c *Controller) recordMaintenance(off map[topology.ServerName]steer.Window, at time.Time) {
	for _, name := range slices.Sorted(maps.Keys(c.off)) {
		if _, before := off[name]; !before {
			c.record(api.Event{Time: at, Kind: "admin", Server: string(name), From: "ready", To: "maintenance", By: c.site.File, Reason: c.off[name].Reason})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(off)) {
		if _, still := c.off[name]; !still {
			c.record(api.Event{Time: at, Kind: "admin", Server: string(name), From: "maintenance", To: "ready", By: c.site.File})
		}
	}
}

// askWitness has the witnesses asked when a move waits for their answer.
func (c *Controller) askWitness() {
	was := c.doubted
	c.doubted = c.want.Doubted()
	if c.doubted && !was {
		c.prober.Ask()
	}
}

// recordFreeze records that failures move nothing from now on, or do again.
func (c *Controller) recordFreeze(before steer.Assignment, at time.Time) {
	switch was, is := before.Frozen(), c.want.Frozen(); {
	case was == "" && is != "":
		c.record(api.Event{Time: at, Kind: "controller", To: "frozen", Reason: is})
	case was != "" && is == "":
		c.record(api.Event{Time: at, Kind: "controller", From: "frozen", To: "steering", Reason: "failures may move traffic again"})
	}
}

// unread claims nothing for VIPs whose routes have not been seen yet.
func (c *Controller) unread(want steer.Assignment) steer.Assignment {
	return steer.Assign(c.cohorts, func(cohort *steer.Cohort) steer.Want {
		if c.pending[cohort] {
			return steer.Want{Cause: steer.Unclaimed, Why: "the routers' routes have not been read yet"}
		}
		return want.For(cohort)
	})
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

// recordMoves records what differs from before since at, in the order of the
// VIPs, and notes who stays where an outage left it.
func (c *Controller) recordMoves(before steer.Assignment, at time.Time) {
	c.kept = nil
	for _, cohort := range c.cohorts.All() {
		was, want := before.For(cohort), c.want.For(cohort)
		if want.Cause == steer.KeptDown {
			if c.kept == nil {
				c.kept = map[netip.Prefix]bool{}
			}
			c.kept[cohort.Judge] = true
		}
		news := !slices.Equal(was.Servers, want.Servers) || was.Withdraw != want.Withdraw || was.Frozen != want.Frozen
		if !news {
			continue
		}
		c.record(api.Event{
			Time: at, Kind: "assignment", VIP: cohort.Prefix.String(), VIPs: several(len(cohort.Prefixes)),
			From: strings.Join(words(was.Servers), ","), To: strings.Join(words(want.Servers), ","), Reason: want.Reason(),
		})
	}
}

// see takes in what a worker saw and did.
func (c *Controller) see(seen sighting) {
	r := c.routers[seen.worker.router.Name]
	if r == nil || r.worker != seen.worker {
		return // of a worker that has been replaced
	}
	was, first := r.last, r.table == nil && seen.table != nil
	r.last, r.tried = seen, true
	if !seen.at.IsZero() {
		r.table, r.looked = seen.table, seen.at
	}
	if !seen.applied.IsZero() {
		r.acted = seen.applied
	}
	if len(seen.made) > 0 {
		r.changed = seen.applied
		r.changes += uint64(steer.Prefixes(seen.made))
	}
	if seen.repair {
		r.repairs += uint64(steer.Prefixes(seen.made))
	}
	if seen.err == nil {
		r.confirmed = seen.seq
	}
	c.adoptWhenSeen()
	if first {
		c.adoptLate(r)
	}
	c.wake()
	c.recordSighting(was, seen)
}

// adoptWhenSeen adopts found routes once every router has been tried.
func (c *Controller) adoptWhenSeen() {
	if len(c.pending) == 0 {
		return
	}
	for _, r := range c.routers {
		if !r.tried {
			return
		}
	}
	c.adopt()
	c.decide(time.Now())
}

// adopt starts pending VIPs from what routers have for them.
func (c *Controller) adopt() {
	var found []*steer.Table
	for _, name := range slices.Sorted(maps.Keys(c.routers)) {
		found = append(found, c.routers[name].table)
	}
	c.takeOver(steer.Adopt(c.cohorts, found...), func(cohort *steer.Cohort) bool { return c.pending[cohort] })
	c.pending = nil
}

// adoptLate starts VIPs that nothing is claimed for from what a router has for
// them that could not be read at the start.
func (c *Controller) adoptLate(r *router) {
	late := steer.Adopt(c.cohorts, r.table)
	lacking := func(cohort *steer.Cohort) bool {
		want := c.want.For(cohort)
		return !c.pending[cohort] && len(want.Servers) == 0 && !want.Withdraw && len(late.For(cohort).Servers) > 0
	}
	if slices.ContainsFunc(c.cohorts.All(), lacking) {
		c.takeOver(late, lacking)
		c.decide(time.Now())
	}
}

// takeOver makes what was found what is wanted of some cohorts.
func (c *Controller) takeOver(found steer.Assignment, of func(*steer.Cohort) bool) {
	former := c.want
	c.want = steer.Assign(c.cohorts, func(cohort *steer.Cohort) steer.Want {
		if of(cohort) {
			return found.For(cohort)
		}
		return former.For(cohort)
	})
	c.order(time.Now())
	c.tellPaces() // they carry traffic, though nothing has moved
}

// recordSighting records changes on a router, and its coming into and out of
// step.
func (c *Controller) recordSighting(was, seen sighting) {
	name := string(seen.worker.router.Name)
	owner := steer.Owners(c.site)
	for _, change := range seen.made {
		event := api.Event{
			Time: seen.applied, Kind: "route", Router: name, Reason: change.Reason,
			VIP: change.Prefixes[0].String(), VIPs: several(len(change.Prefixes)),
			From: via(owner, change.From), To: via(owner, change.To),
		}
		if seen.repair {
			event.Reason = "repair: the router had lost it or somebody had changed it"
		} else if was.seq != seen.seq && !seen.ordered.IsZero() {
			event.TookMs = milliseconds(seen.applied.Sub(seen.ordered))
		}
		c.record(event)
	}
	if text := message(seen.err); text != message(was.err) {
		event := api.Event{Kind: "router", Router: name, To: "in sync", Reason: text}
		if text != "" {
			event.To = "out of sync"
		}
		c.record(event)
	}
	c.recordFights(name, was.fought, seen.fought)
	for _, route := range beyond(seen.left.Foreign, was.left.Foreign) {
		c.record(api.Event{Kind: "router", Router: name, VIP: route.Prefix.String(), Reason: foreignText(route)})
	}
	for _, route := range beyond(was.left.Foreign, seen.left.Foreign) {
		c.record(api.Event{Kind: "router", Router: name, VIP: route.Prefix.String(), Reason: "no longer in the way: " + foreignText(route)})
	}
}

// recordFights records which prefixes a router leaves alone from now on, and
// which no longer, in one event each, however many they are.
func (c *Controller) recordFights(router string, was, now []netip.Prefix) {
	if slices.Equal(was, now) {
		return
	}
	for _, change := range []struct {
		to, why string
		of      []netip.Prefix
	}{
		{"fighting", fightText, without(now, was)},
		{"repairing", "no longer left alone: it is repaired again", without(was, now)},
	} {
		if len(change.of) > 0 {
			c.record(api.Event{Kind: "router", Router: router, To: change.to, VIP: change.of[0].String(), VIPs: several(len(change.of)), Reason: change.why})
		}
	}
}

// fightText says what becomes of a prefix that is fought for.
var fightText = fmt.Sprintf("another program changes its route: repaired %d times within %s, and left alone now until other next hops are wanted, "+
	"the server it goes to is lost, it was quiet for %s, or `routesteer reload`; see what else writes routes on that router", fightLimit, fightWindow, quietFirst)

// without returns what is in a and not in b; both are sorted.
func without(a, b []netip.Prefix) []netip.Prefix {
	rest := make([]netip.Prefix, 0, len(a))
	for _, p := range a {
		for len(b) > 0 && steer.ComparePrefix(b[0], p) < 0 {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != p {
			rest = append(rest, p)
		}
	}
	return rest
}

// beyond returns the foreign routes that others do not have.
func beyond(routes, others []steer.Route) []steer.Route {
	if len(routes) == 0 {
		return nil
	}
	known := make(map[string]bool, len(others))
	for _, route := range others {
		known[foreignText(route)] = true
	}
	return slices.DeleteFunc(slices.Clone(routes), func(r steer.Route) bool { return known[foreignText(r)] })
}

// foreignText describes a route that is in the way.
func foreignText(route steer.Route) string {
	text := "foreign route " + route.Prefix.String()
	if len(route.NextHops) > 0 {
		text += " via " + steer.FormatNextHops(route.NextHops)
	}
	return text + " (" + route.Detail + "), left alone; adopt: true would take it over"
}

// via names the servers behind next hops, or the next hops themselves where
// they are nobody's.
func via(owner map[netip.Addr]topology.ServerName, hops []steer.NextHop) string {
	var names []string
	for _, hop := range hops {
		if name, known := owner[hop.Address]; known {
			names = append(names, string(name))
		} else {
			names = append(names, hop.Address.String())
		}
	}
	return strings.Join(names, ",")
}

// message is what status says of an error: of many refusals, the first and
// their number.
func message(err error) string {
	if err == nil {
		return ""
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) > 1 {
		return fmt.Sprintf("%s; and %d more", lines[0], len(lines)-1)
	}
	return lines[0]
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

func words[T ~string](names []T) []string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = string(name)
	}
	return words
}
