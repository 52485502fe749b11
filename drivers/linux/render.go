package linux

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/routesteer/routesteer/steer"
)

// Render returns for each change the command of ip-route(8) that does the
// same, ready to paste. It asks the kernel nothing, so that it leaves out
// what Apply may find to do besides: the removal of stray entries of ours, and
// of an adopted route of a lower metric.
func (d *Driver) Render(changes []steer.Change) []string {
	commands := make([]string, len(changes))
	for i, c := range changes {
		commands[i] = d.command(c)
	}
	return commands
}

func (d *Driver) command(c steer.Change) string {
	family, verb := "-4", "replace"
	if c.Prefix.Addr().Is6() {
		family = "-6"
	}
	switch {
	case c.Op == steer.Remove:
		verb = "del"
	case c.Op == steer.Add && !c.Adopt:
		verb = "add"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ip %s route %s %s", family, verb, c.Prefix)
	if len(c.To) == 1 {
		fmt.Fprintf(&b, " via %s", via(c.Prefix, c.To[0].Address))
	}
	fmt.Fprintf(&b, " proto %d metric %d table %d", d.cfg.Protocol, d.metric(c.Prefix), d.cfg.Table)
	if len(c.To) > 1 {
		for _, hop := range c.To {
			fmt.Fprintf(&b, " nexthop via %s weight %d", via(c.Prefix, hop.Address), hop.Weight)
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
