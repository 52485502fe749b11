package linux

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Render returns for each prefix of each change the command of ip-route(8) that
// does the same, ready to paste. It asks the kernel nothing, so that it leaves out
// what Apply may find to do besides: the removal of stray entries of ours, and
// of an adopted route of a lower metric.
func (d *Driver) Render(changes []steer.Change) []string { return Commands(d.cfg, changes) }

// Commands is Render for a router that is not at hand.
func Commands(cfg topology.Linux, changes []steer.Change) []string {
	var commands []string
	for _, c := range changes {
		for _, p := range c.Prefixes {
			commands = append(commands, command(cfg, p, c))
		}
	}
	return commands
}

func command(cfg topology.Linux, p netip.Prefix, c steer.Change) string {
	family, verb := "-4", "replace"
	if p.Addr().Is6() {
		family = "-6"
	}
	switch {
	case c.Op == steer.Remove:
		verb = "del"
	case c.Op == steer.Add && !c.Adopt:
		verb = "add"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ip %s route %s %s", family, verb, p)
	if len(c.To) == 1 {
		fmt.Fprintf(&b, " via %s", via(p, c.To[0].Address))
	}
	fmt.Fprintf(&b, " proto %d metric %d table %d", cfg.Protocol, metric(cfg, familyOf(p.Addr())), cfg.Table)
	if len(c.To) > 1 {
		for _, hop := range c.To {
			fmt.Fprintf(&b, " nexthop via %s weight %d", via(p, hop.Address), hop.Weight)
		}
	}
	return b.String()
}

func via(p netip.Prefix, gateway netip.Addr) string {
	if p.Addr().Is4() && gateway.Is6() {
		return "inet6 " + gateway.String()
	}
	return gateway.String()
}
