package controller

import (
	"maps"
	"slices"
	"time"

	"github.com/routesteer/routesteer/steer"
)

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
	for _, a := range seen.applies {
		c.tally.apply(seen.worker.router.Name, a.took, a.refused)
	}
	if c.unnoted(seen.worker.router.Name) {
		c.poke()
	}
	c.adoptWhenSeen()
	if first {
		c.adoptLate(r)
	}
	c.wake()
	c.recordSighting(was, seen)
	if len(seen.info.Sessions)+len(seen.info.Problems)+len(r.told.Problems) > 0 {
		c.recordInfo(string(seen.worker.router.Name), r.told, seen.info)
		r.told = seen.info
	}
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
	adopted, taken := steer.Adopt(c.cohorts, found...), map[*steer.Cohort]steer.Want{}
	for cohort := range c.pending {
		taken[cohort] = adopted.For(cohort)
	}
	c.takeOver(taken)
	c.pending = nil
	close(c.adopted)
	c.adopted = nil
}

// adoptLate starts VIPs that nothing is claimed for from what a router has for
// them that could not be read at the start.
func (c *Controller) adoptLate(r *router) {
	late, taken := steer.Adopt(c.cohorts, r.table), map[*steer.Cohort]steer.Want{}
	for _, cohort := range c.cohorts.All() {
		want, found := c.want.For(cohort), late.For(cohort)
		if !c.pending[cohort] && len(want.Servers) == 0 && !want.Withdraw && len(found.Servers) > 0 {
			taken[cohort] = found
		}
	}
	if len(taken) > 0 {
		c.takeOver(taken)
		c.decide(time.Now())
	}
}

// takeOver makes what was found what is wanted of some cohorts.
func (c *Controller) takeOver(found map[*steer.Cohort]steer.Want) {
	c.want = c.want.Replace(c.cohorts, found)
	c.order(time.Now())
	c.tellPaces() // they carry traffic, though nothing has moved
}
