package controller

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// pace tells the senses how often to check what makes a target's verdict.
func (c *Controller) pace(target health.Target) {
	for _, part := range c.board.Parts(target) {
		c.pacePart(part)
	}
}

// pacePart does so for what is checked by itself, if it changed.
func (c *Controller) pacePart(target health.Target) {
	carries := slices.ContainsFunc(c.board.Wholes(target), func(whole health.Target) bool { return c.carrying.cohorts[whole] > 0 })
	pace := c.board.State(target).Pace(carries)
	if was, told := c.paces[target]; told && was == pace {
		return
	}
	c.paces[target] = pace
	c.prober.Pace(target, pace)
}

// paceAll does so for every target, after a change of site.
func (c *Controller) paceAll() {
	c.paces, c.judged = map[health.Target]health.Pace{}, map[netip.Prefix]int{}
	c.carrying, c.paths = newCarrying(), newPaths(c.paths)
	c.carrying.count(c.want.Replace(c.cohorts, nil), leavingSoon(c.site, time.Now()))
	for _, judge := range c.site.Judges() {
		c.judged[judge.VIP.Prefix] = judge.VIPs
		for _, server := range judge.Servers {
			c.pace(health.Target{Server: server, VIP: judge.VIP.Prefix})
		}
	}
}

// tellPaces finds out who carries traffic now and tells the senses: who is sent
// traffic is checked at once, and who is not any more as a standby.
func (c *Controller) tellPaces() {
	for _, target := range c.carrying.count(c.want, leavingSoon(c.site, time.Now())) {
		c.pace(target)
	}
}

// A carrying knows of how many cohorts each target carries the traffic, or will by itself, when
// a failback is due or a maintenance begins: traffic must not return to a server that was last
// looked at a standby's interval ago.
type carrying struct {
	want    steer.Assignment             // that was counted last
	leaving map[topology.ServerName]bool // whose maintenance was to begin soon
	cohorts map[health.Target]int
}

func newCarrying() *carrying { return &carrying{cohorts: map[health.Target]int{}} }

// count counts anew what has changed, and returns the targets that carry traffic now, or do
// no longer.
func (k *carrying) count(want steer.Assignment, leaving map[topology.ServerName]bool) []health.Target {
	changed := want.Changed(k.want)
	if !maps.Equal(leaving, k.leaving) {
		changed = want.Cohorts().All()
	}
	before := map[health.Target]bool{}
	note := func(cohort *steer.Cohort, by int) {
		for _, name := range k.carriers(cohort) {
			target := health.Target{Server: name, VIP: cohort.Judge}
			if _, known := before[target]; !known {
				before[target] = k.cohorts[target] > 0
			}
			if k.cohorts[target] += by; k.cohorts[target] == 0 {
				delete(k.cohorts, target)
			}
		}
	}
	for _, cohort := range changed {
		note(cohort, -1)
	}
	k.want, k.leaving = want, leaving
	for _, cohort := range changed {
		note(cohort, 1)
	}
	maps.DeleteFunc(before, func(target health.Target, carried bool) bool { return carried == (k.cohorts[target] > 0) })
	return slices.Collect(maps.Keys(before))
}

// carriers are the servers that have traffic of a cohort, or will have it.
func (k *carrying) carriers(cohort *steer.Cohort) []topology.ServerName {
	want := k.want.For(cohort)
	leaves := slices.ContainsFunc(want.Servers, func(name topology.ServerName) bool { return k.leaving[name] })
	if leaves || !want.Next.IsZero() {
		return cohort.Servers()
	}
	return want.Servers
}

// tellPaths tells the senses by which address servers that have a choice are
// reached, so that the path which traffic takes is the one that is checked.
func (c *Controller) tellPaths() {
	for _, target := range c.paths.count(c.want, c.site) {
		c.use(target, c.paths.inUse[target])
	}
}

// Paths know by which of its addresses each target is reached that has a choice.
type paths struct {
	want    steer.Assignment // that was counted last
	cohorts map[path]int     // whose traffic takes it
	inUse   map[health.Target]netip.Addr
	told    map[health.Target]netip.Addr // inUse of the former cohorts, until the first count
}

type path struct {
	health.Target
	by netip.Addr
}

// newPaths begins anew, for other cohorts. The senses know of the former paths, if any.
func newPaths(former *paths) *paths {
	p := &paths{cohorts: map[path]int{}, inUse: map[health.Target]netip.Addr{}}
	if former != nil {
		p.told = former.inUse
	}
	return p
}

// count counts anew what has changed, and returns the targets that are reached by another
// address now, or by none any more. Where cohorts go by several, it is the first in the
// order of the server.
func (p *paths) count(want steer.Assignment, site *topology.Site) (otherwise []health.Target) {
	if len(p.told) == 0 && !slices.ContainsFunc(site.Servers, func(s topology.Server) bool { return len(s.Addresses) > 1 }) {
		return nil
	}
	touched := map[health.Target][]netip.Addr{}
	note := func(cohort *steer.Cohort, by int) {
		want := p.want.For(cohort)
		for _, name := range want.Servers {
			server, _ := site.Server(name)
			target := health.Target{Server: name, VIP: cohort.Judge}
			for _, hop := range want.NextHops {
				if len(server.Addresses) > 1 && slices.Contains(server.Addresses, hop.Address) {
					p.cohorts[path{target, hop.Address}] += by
					touched[target] = server.Addresses
				}
			}
		}
	}
	changed := want.Changed(p.want)
	for _, cohort := range changed {
		note(cohort, -1)
	}
	p.want = want
	for _, cohort := range changed {
		note(cohort, 1)
	}
	for target, addresses := range touched {
		if p.settle(target, addresses) {
			otherwise = append(otherwise, target)
		}
	}
	for target := range p.told {
		if _, used := p.inUse[target]; !used {
			otherwise = append(otherwise, target)
		}
	}
	p.told = nil
	return otherwise
}

// settle finds out by which address a target is reached, and reports whether that is another
// than before.
func (p *paths) settle(target health.Target, addresses []netip.Addr) bool {
	was := p.inUse[target]
	delete(p.inUse, target)
	for _, address := range slices.Backward(addresses) {
		if p.cohorts[path{target, address}] > 0 {
			p.inUse[target] = address
		} else {
			delete(p.cohorts, path{target, address})
		}
	}
	return p.inUse[target] != was
}

// use tells the senses by which address to check what makes a target's verdict.
func (c *Controller) use(target health.Target, address netip.Addr) {
	for _, part := range c.board.Parts(target) {
		c.prober.Use(part, address)
	}
}
