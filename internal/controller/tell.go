package controller

import (
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
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
	carries := slices.ContainsFunc(c.board.Wholes(target), func(whole health.Target) bool { return c.carrying[whole] })
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
	c.inUse, c.carrying = nil, c.carriers()
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
	former := c.carrying
	c.carrying = c.carriers()
	for target := range c.carrying {
		if !former[target] {
			c.pace(target)
		}
	}
	for target := range former {
		if !c.carrying[target] {
			c.pace(target)
		}
	}
}

// carriers are the targets that VIPs are sent to, or will be by themselves, when
// a failback is due or a maintenance begins: traffic must not return to a server that was last looked at
// a standby's interval ago.
func (c *Controller) carriers() map[health.Target]bool {
	carriers, leaving := map[health.Target]bool{}, leavingSoon(c.site, time.Now())
	for _, cohort := range c.cohorts.All() {
		want := c.want.For(cohort)
		names := want.Servers
		leaves := slices.ContainsFunc(names, func(name topology.ServerName) bool { return leaving[name] })
		if leaves || !want.Next.IsZero() {
			names = cohort.Servers()
		}
		for _, name := range names {
			carriers[health.Target{Server: name, VIP: cohort.Judge}] = true
		}
	}
	return carriers
}

// tellPaths tells the senses by which address servers that have a choice are
// reached, so that the path which traffic takes is the one that is checked.
func (c *Controller) tellPaths() {
	choice := map[topology.ServerName][]netip.Addr{}
	for _, server := range c.site.Servers {
		if len(server.Addresses) > 1 {
			choice[server.Name] = server.Addresses
		}
	}
	if len(choice) == 0 {
		return
	}
	inUse := map[health.Target]netip.Addr{}
	for _, cohort := range c.cohorts.All() {
		want := c.want.For(cohort)
		for _, name := range want.Servers {
			for _, hop := range want.NextHops {
				if slices.Contains(choice[name], hop.Address) {
					inUse[health.Target{Server: name, VIP: cohort.Judge}] = hop.Address
				}
			}
		}
	}
	for target, address := range inUse {
		if c.inUse[target] != address {
			c.use(target, address)
		}
	}
	for target := range c.inUse {
		if _, still := inUse[target]; !still {
			c.use(target, netip.Addr{})
		}
	}
	c.inUse = inUse
}

// use tells the senses by which address to check what makes a target's verdict.
func (c *Controller) use(target health.Target, address netip.Addr) {
	for _, part := range c.board.Parts(target) {
		c.prober.Use(part, address)
	}
}
