package controller

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A tally counts what happens too often to be an event each time. It belongs to the
// loop.
type tally struct {
	checks  map[checked]*api.CheckTally
	routers map[topology.RouterName]*api.RouterTally
	of      map[health.Target]*api.CheckTally // where each target's results are counted; by the present site
}

// checked is what a check's results are counted by.
type checked struct {
	server topology.ServerName
	check  topology.CheckName
}

func newTally() *tally {
	return &tally{checks: map[checked]*api.CheckTally{}, routers: map[topology.RouterName]*api.RouterTally{}, of: map[health.Target]*api.CheckTally{}}
}

// result counts the result of a check.
func (t *tally) result(site *topology.Site, r health.Result) {
	count := t.of[r.Target]
	if count == nil {
		count = t.count(site, r.Target)
	}
	if r.OK() {
		count.Passed++
	} else {
		count.Failed++
	}
	count.Took.Add(r.Took)
}

// count finds where a target's results are counted.
func (t *tally) count(site *topology.Site, target health.Target) *api.CheckTally {
	key := checked{target.Server, target.Member}
	if vip, known := site.VIP(target.VIP); key.check == "" && known {
		key.check = vip.Check
	}
	if _, known := site.Server(key.server); !known || key.check == "" {
		return &api.CheckTally{} // of a target that a reload has taken away
	}
	if t.checks[key] == nil {
		t.checks[key] = &api.CheckTally{Server: string(key.server), Check: string(key.check)}
	}
	t.of[target] = t.checks[key]
	return t.checks[key]
}

// apply counts one time that a router was told to change routes.
func (t *tally) apply(router topology.RouterName, took time.Duration, refused bool) {
	count := t.routers[router]
	if count == nil {
		count = &api.RouterTally{Router: string(router)}
		t.routers[router] = count
	}
	if refused {
		count.Failed++
	}
	count.Took.Add(took)
}

// become forgets what the site does not have.
func (t *tally) become(site *topology.Site) {
	t.of = map[health.Target]*api.CheckTally{}
	for key := range t.checks {
		_, server := site.Server(key.server)
		_, check := site.Check(key.check)
		if !server || !check {
			delete(t.checks, key)
		}
	}
	for name := range t.routers {
		if _, known := site.Router(name); !known {
			delete(t.routers, name)
		}
	}
}

// Tally returns what has been counted since the start, of servers, checks and
// routers that the site has.
func (c *Controller) Tally(ctx context.Context) (*api.Tally, error) {
	all := &api.Tally{}
	if err := c.do(ctx, func() { c.tally.copyTo(all) }); err != nil {
		return nil, err
	}
	slices.SortFunc(all.Checks, func(a, b api.CheckTally) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Check, b.Check))
	})
	slices.SortFunc(all.Routers, func(a, b api.RouterTally) int { return cmp.Compare(a.Router, b.Router) })
	return all, nil
}

func (t *tally) copyTo(all *api.Tally) {
	for _, count := range t.checks {
		all.Checks = append(all.Checks, *count)
	}
	for _, count := range t.routers {
		all.Routers = append(all.Routers, *count)
	}
}
