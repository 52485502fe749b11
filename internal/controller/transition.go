package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// tend takes in what a worker reports of its router's transitions.
func (c *Controller) tend(report tending) {
	r := c.routers[report.worker.router.Name]
	if r == nil || r.worker != report.worker {
		return // of a worker that has been replaced
	}
	if report.err != nil {
		if message(r.tendErr) != message(report.err) {
			c.record(api.Event{Kind: api.TransitionEvent, Router: string(report.worker.router.Name), To: toTrouble, Reason: message(report.err)})
		}
		r.tendErr = report.err
		return
	}
	r.tendErr = nil
	if text := message(report.cuts); text != "" && text != message(r.cuts) {
		c.record(api.Event{Kind: api.TransitionEvent, Router: string(report.worker.router.Name), To: toImpossible, Reason: "planned moves cut connections: " + text})
	}
	r.under, r.cuts = report.under, report.cuts
	r.outcomes = outcomesAfter(r.outcomes, report)
	c.recordTransitions(report)
}

// outcomesAfter are the outcomes with those of a report, and without those of
// prefixes that are on the move again.
func outcomesAfter(before map[netip.Prefix]outcome, report tending) map[netip.Prefix]outcome {
	if len(report.began)+len(report.ended) == 0 {
		return before
	}
	after := make(map[netip.Prefix]outcome, len(before)+len(report.ended))
	maps.Copy(after, before)
	for _, over := range report.ended {
		after[over.Prefix] = outcome{ended: over, at: report.at}
	}
	for _, tr := range report.began {
		delete(after, tr.Prefix)
	}
	return after
}

// cut ends the transitions that leave connections at servers, on all routers.
func (c *Controller) cut(ctx context.Context, servers []topology.ServerName, by string) error {
	ends := map[*worker][]netip.Prefix{}
	err := c.do(ctx, func() {
		owner := steer.Owners(c.site)
		for _, r := range c.routers {
			for _, tr := range r.under {
				if slices.ContainsFunc(places(tr), func(hops []steer.NextHop) bool {
					return slices.ContainsFunc(steer.ServersOf(owner, hops), func(name topology.ServerName) bool { return slices.Contains(servers, name) })
				}) {
					ends[r.worker] = append(ends[r.worker], tr.Prefix)
				}
			}
		}
		if len(ends) > 0 {
			c.record(api.Event{Kind: api.AdminEvent, Server: strings.Join(words(servers), ","), To: "cut", By: by, Reason: "connections that are left are not waited for"})
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
	return under && !slices.Equal(before.Gone(), c.want.Gone())
}

// warnOfCuts says, before an operator's move, on which routers it cuts
// connections.
func (c *Controller) warnOfCuts() {
	for _, name := range slices.Sorted(maps.Keys(c.routers)) {
		if cuts := c.routers[name].cuts; cuts != nil {
			c.record(api.Event{Kind: api.TransitionEvent, Router: string(name), To: toImpossible, Reason: "this move cuts connections: " + message(cuts)})
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
func (c *Controller) recordTransitions(report tending) {
	if len(report.began) > 0 {
		c.recordAlike(report, report.began, "connections may stay until "+report.began[0].Until.Format(time.TimeOnly))
	}
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
			Kind: api.TransitionEvent, Router: string(report.worker.router.Name), VIP: first.Prefix.String(),
			From: via(owner, first.From), To: via(owner, first.To), Reason: why,
		}
		if many := len(alike[key]); many > 1 {
			event.VIPs = many
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

// A rowKey is what transitions that are shown as one have in common.
type rowKey struct {
	router          topology.RouterName
	entry           netip.Prefix
	from, to, state string
}

// transitions lists what is under way, and how what was ended, a row for each
// entry of the file whose prefixes do alike: of all, or of those that leave, or
// left, connections at a server.
func (v view) transitions(server topology.ServerName) []api.Transition {
	owner := steer.Owners(v.site)
	rows := map[rowKey]*api.Transition{}
	for name, r := range v.routers {
		for _, tr := range r.under {
			v.addTransition(rows, owner, name, tr, api.Ending, time.Time{})
		}
		for _, over := range r.outcomes {
			v.addTransition(rows, owner, name, over.Transition, string(over.outcome), over.at)
		}
	}
	all := []api.Transition{}
	for _, row := range rows {
		if server == "" || row.Concerns(string(server)) {
			all = append(all, *row)
		}
	}
	slices.SortFunc(all, func(a, b api.Transition) int {
		return cmp.Or(cmp.Compare(a.Router, b.Router), cmp.Compare(a.VIP, b.VIP), slices.Compare(a.To, b.To), cmp.Compare(a.State, b.State))
	})
	return all
}

func (v view) addTransition(rows map[rowKey]*api.Transition, owner map[netip.Addr]topology.ServerName, router topology.RouterName,
	tr steer.Transition, state string, ended time.Time) {
	entry, name := tr.Prefix, ""
	if vip, known := v.site.VIP(tr.Prefix); known {
		entry, name = vip.Entry, vip.Name
	}
	key := rowKey{router, entry, via(owner, tr.From), via(owner, tr.To), state}
	row := rows[key]
	if row == nil {
		row = &api.Transition{
			Router: string(router), VIP: entry.String(), Name: name, State: state, Left: []api.Left{},
			From: words(steer.ServersOf(owner, tr.From)), To: words(steer.ServersOf(owner, tr.To)),
			Since: tr.Since, IdleAt: tr.Since.Add(v.site.Policy.Drain.Idle), Until: tr.Until, Ended: ended,
		}
		rows[key] = row
	}
	row.Prefixes++
	row.Overflow += tr.Overflow
	for _, left := range tr.Left {
		row.AddLeft(words(steer.ServersOf(owner, left.At)), left.Flows)
	}
}
