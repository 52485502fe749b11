package controller

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

func echoEvent(news health.News) api.Event {
	switch news := news.(type) {
	case health.Loss:
		return api.Event{Time: news.At, Kind: api.EchoEvent, Server: string(news.Server), To: "lost", Reason: news.Failure + " (" + news.Address.String() + ")"}
	case health.Found:
		return api.Event{Time: news.At, Kind: api.EchoEvent, Server: string(news.Server), To: "answers", Reason: news.Address.String()}
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
			Time: flip.At, Kind: api.AgentEvent, Server: string(flip.Target.Server), VIP: flip.Target.VIP.String(), VIPs: several(c.judged[flip.Target.VIP]),
			By: "agent", Reason: flip.Why,
		}
	}
	return api.Event{
		Time: flip.At, Kind: api.VerdictEvent, Server: string(flip.Target.Server), VIP: flip.Target.VIP.String(), VIPs: several(c.judged[flip.Target.VIP]),
		From: flip.From.String(), To: flip.To.String(), Reason: flip.Why,
	}
}

// recordMaintenance records whose maintenance has begun or ended since servers were
// off.
func (c *Controller) recordMaintenance(off map[topology.ServerName]steer.Window, at time.Time) {
	for _, name := range slices.Sorted(maps.Keys(c.off)) {
		if _, before := off[name]; !before {
			c.record(api.Event{Time: at, Kind: api.AdminEvent, Server: string(name), From: "ready", To: "maintenance", By: c.site.File, Reason: c.off[name].Reason})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(off)) {
		if _, still := c.off[name]; !still {
			c.record(api.Event{Time: at, Kind: api.AdminEvent, Server: string(name), From: "maintenance", To: "ready", By: c.site.File})
		}
	}
}

// recordFreeze records that failures move nothing from now on, or do again.
func (c *Controller) recordFreeze(before steer.Assignment, at time.Time) {
	switch was, is := before.Frozen(), c.want.Frozen(); {
	case was == "" && is != "":
		c.record(api.Event{Time: at, Kind: api.GuardEvent, Cause: string(steer.Frozen), To: toFrozen, Reason: is})
	case was != "" && is == "":
		c.record(api.Event{Time: at, Kind: api.GuardEvent, Cause: string(steer.Frozen), From: toFrozen, To: "steering", Reason: "failures may move traffic again"})
	}
}

// recordMoves records what differs from before since at, in the order of the
// VIPs, and notes who stays where an outage left it.
func (c *Controller) recordMoves(before steer.Assignment, at time.Time) {
	c.kept = nil
	for _, cohort := range c.want.Awake() {
		if c.want.For(cohort).Cause == steer.KeptDown {
			if c.kept == nil {
				c.kept = map[netip.Prefix]bool{}
			}
			c.kept[cohort.Judge] = true
		}
	}
	for _, cohort := range c.want.Changed(before) {
		was, want := before.For(cohort), c.want.For(cohort)
		news := !slices.Equal(was.Servers, want.Servers) || was.Withdraw != want.Withdraw || was.Frozen != want.Frozen ||
			(was.Cause == steer.KeptDown) != (want.Cause == steer.KeptDown)
		if !news {
			continue
		}
		c.record(api.Event{
			Time: at, Kind: api.AssignmentEvent, VIP: cohort.Prefix.String(), VIPs: several(len(cohort.Prefixes)),
			From: strings.Join(words(was.Servers), ","), To: strings.Join(words(want.Servers), ","), Cause: string(want.Cause), Reason: want.Reason(),
		})
	}
}

// recordSighting records changes on a router, and its coming into and out of
// step.
func (c *Controller) recordSighting(was, seen sighting) {
	name := string(seen.worker.router.Name)
	owner := steer.Owners(c.site)
	for _, change := range seen.made {
		event := api.Event{
			Time: seen.applied, Kind: api.RouteEvent, Router: name, Cause: string(change.Cause), Reason: change.Reason,
			VIP: change.Prefixes[0].String(), VIPs: several(len(change.Prefixes)),
			From: via(owner, change.From), To: via(owner, change.To),
		}
		if seen.repair {
			event.Cause, event.Reason = repaired, "repair: the router had lost it or somebody had changed it"
		} else if was.seq != seen.seq && !seen.ordered.IsZero() {
			event.TookMs = milliseconds(seen.applied.Sub(seen.ordered))
		}
		c.record(event)
	}
	c.recordSync(name, was, seen)
	c.recordFights(name, was.fought, seen.fought)
	for _, route := range beyond(seen.left.Foreign, was.left.Foreign) {
		c.record(api.Event{Kind: api.RouterEvent, Router: name, VIP: route.Prefix.String(), To: toInTheWay, Reason: foreignText(route)})
	}
	for _, route := range beyond(was.left.Foreign, seen.left.Foreign) {
		c.record(api.Event{Kind: api.RouterEvent, Router: name, VIP: route.Prefix.String(), From: toInTheWay, To: "gone", Reason: "no longer in the way: " + foreignText(route)})
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
		{toFighting, fightText, without(now, was)},
		{"repairing", "no longer left alone: it is repaired again", without(was, now)},
	} {
		if len(change.of) > 0 {
			c.record(api.Event{Kind: api.RouterEvent, Router: router, To: change.to, VIP: change.of[0].String(), VIPs: several(len(change.of)), Reason: change.why})
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

// several is a number as the API tells it: 0 where there is but one.
func several(n int) int {
	if n == 1 {
		return 0
	}
	return n
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
