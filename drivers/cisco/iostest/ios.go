package iostest

import (
	"fmt"
	"net/netip"
	"strings"
)

// newIOS is IOS and IOS-XE.
func newIOS() *dialect {
	return &dialect{
		name: "ios",
		grammar: grammar{
			dotted: true, name: "name", words: []string{"tag", "permanent", "track", "multicast"},
			bare: true, inconsistent: "%Inconsistent address and mask",
		},
		order: []string{"distance", "tag", "permanent", "name", "track", "multicast"},
		user:  userCommands(),
		exec: execCommands(append(saving(),
			command{"show configuration lock", showLock},
			command{"show ip route …", showRoute(false)}, command{"show ipv6 route …", showRoute(true)},
			command{"show ip interface", nil})...),
		config:      map[string][]command{"config": configCommands(routeCommands()...)},
		promptLimit: 20, maxWidth: 512,
		do: true, inlineVRF: true, lookup: true, asksName: true,
		caret:        whereInvalid,
		invalid:      "% Invalid input detected at '^' marker.\n\n",
		incomplete:   "% Incomplete command.\n\n",
		ambiguous:    "% Ambiguous command:  \"LINE\"\n",
		unauthorized: "Command authorization failed.\n\n",
		absent:       "%No matching route to delete",
		own:          "%Invalid next hop address (it's this router)",
		welcome:      "Enter configuration commands, one per line.  End with CNTL/Z.\n",
		saving:       "Building configuration...\n",
		saved:        "[OK]\n",
		preamble:     "Building configuration...\n\nCurrent configuration : 1867 bytes\n",
		print:        printIOS,
	}
}

// upper prints an address as IOS does.
func upper(a netip.Addr) string { return strings.ToUpper(a.String()) }

func printIOS(r *Router) []string {
	var lines []string
	for _, one := range r.routes {
		line := "ip route "
		if one.prefix.Addr().Is6() {
			line = "ipv6 route "
		}
		if one.vrf != "" {
			line += "vrf " + one.vrf + " "
		}
		lines = append(lines, line+iosPrefix(one.prefix)+" "+one.way(upper)+one.options(r.opts.Order, "name"))
	}
	return lines
}

func iosPrefix(p netip.Prefix) string {
	if p.Addr().Is4() {
		return p.Addr().String() + " " + mask(p)
	}
	return strings.ToUpper(p.String())
}

// detailIOS is show ip route of a prefix.
func detailIOS(at where, active []*route) string {
	if at.prefix.Addr().Is6() {
		return detailIOS6(at, active)
	}
	if len(active) == 0 {
		return "% Network not in table\n"
	}
	text := fmt.Sprintf("Routing entry for %s\n  Known via \"static\", distance %d, metric 0\n", at.prefix, active[0].dist())
	if tag := active[0].tag; tag != "" {
		text += "  Tag " + tag + "\n"
	}
	text += "  Routing Descriptor Blocks:\n"
	mark := "* "
	for _, one := range active {
		text += "  " + mark + iosWay(one) + "\n      Route metric is 0, traffic share count is 1\n"
		if one.tag != "" {
			text += "      Route tag " + one.tag + "\n"
		}
		mark = "  "
	}
	return text
}

// iosWay is a next hop in a descriptor block.
func iosWay(one *route) string {
	switch {
	case one.iface == "":
		return one.hop.String()
	case !one.hop.IsValid():
		return "directly connected, via " + one.iface
	default:
		return one.hop.String() + ", via " + one.iface
	}
}

func detailIOS6(at where, active []*route) string {
	if len(active) == 0 {
		return "% Route not found\n"
	}
	text := fmt.Sprintf("Routing entry for %s\n  Known via \"static\", distance %d, metric 0\n  Route count is %d/%d, share count 0\n  Routing paths:\n",
		strings.ToUpper(at.prefix.String()), active[0].dist(), len(active), len(active))
	for _, one := range active {
		way := upper(one.hop)
		if one.iface != "" {
			way = strings.TrimPrefix(way+", "+one.iface, "INVALID IP, ")
		}
		text += "    " + way + "\n      Last updated 00:00:05 ago\n"
	}
	return text
}
