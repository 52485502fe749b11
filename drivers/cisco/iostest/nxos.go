package iostest

import (
	"fmt"
	"net/netip"
)

// newNXOS is NX-OS: VRFs are blocks, show needs no do, patterns are quoted.
func newNXOS() *dialect {
	block := append(routeCommands(), command{"exit", up}, command{"end", end})
	exec := execCommands(
		command{"copy running-config startup-config", copyConfig}, command{"copy startup-config …", nil},
		command{"show ip route …", showRoute(false)}, command{"show ipv6 route …", showRoute(true)})
	config := configCommands(append(routeCommands(),
		command{"vrf context …", enterVRF(true)}, command{"vrf member …", nil})...)
	return &dialect{
		name: "nxos",
		grammar: grammar{
			name: "name", words: []string{"tag", "track"}, lateDist: true,
			inconsistent: "% Invalid ip prefix: host bits are set",
		},
		order: []string{"track", "name", "tag", "distance"},
		user:  userCommands(),
		exec:  exec,
		config: map[string][]command{
			"config": config,
			"vrf":    block,
		},
		anywhere:    showing(exec),
		promptSpace: true, minWidth: 24, maxWidth: 511,
		quotes:       true,
		caret:        always,
		invalid:      "% Invalid command at '^' marker.\n",
		incomplete:   "% Incomplete command at '^' marker.\n",
		ambiguous:    "% Ambiguous command at '^' marker.\n",
		unauthorized: "% Permission denied for the role\n",
		absent:       "% Route not found",
		own:          "% Invalid nexthop address (it's this router)",
		welcome:      "Enter configuration commands, one per line. End with CNTL/Z.\n",
		saved:        "[########################################] 100%\nCopy complete, now saving to disk (please wait)...\nCopy complete.\n",
		preamble:     "\n!Command: show running-config\n\nversion 9.3(8)\n",
		print:        printNXOS,
	}
}

// showing picks the commands that configuration mode has too.
func showing(exec []command) []command {
	return append(append(with(exec, 0, "show"), with(exec, 0, "copy")...), with(exec, 0, "terminal")...)
}

func printNXOS(r *Router) []string {
	var lines []string
	for _, vrf := range append([]string{""}, r.vrfs...) {
		indent := ""
		if vrf != "" {
			lines = append(lines, "vrf context "+vrf)
			indent = "  "
		}
		for _, one := range r.routes {
			if one.vrf == vrf {
				lines = append(lines, indent+shortLine(r, one, family(one)+" route ", "name"))
			}
		}
	}
	return lines
}

// family is the keyword of a route's address family.
func family(one *route) string {
	if one.prefix.Addr().Is6() {
		return "ipv6"
	}
	return "ip"
}

// shortLine prints a route with a prefix length.
func shortLine(r *Router, one *route, head, name string) string {
	return head + one.prefix.String() + " " + one.way(netip.Addr.String) + one.options(r.opts.Order, name)
}

func detailNXOS(at where, active []*route) string {
	vrf, family := at.vrf, "IP"
	if vrf == "" {
		vrf = "default"
	}
	if at.prefix.Addr().Is6() {
		family = "IPv6"
	}
	text := fmt.Sprintf("%s Route Table for VRF %q\n'*' denotes best ucast next-hop\n'**' denotes best mcast next-hop\n"+
		"'[x/y]' denotes [preference/metric]\n'%%<string>' in via output denotes VRF <string>\n\n", family, vrf)
	if len(active) == 0 {
		return text + "Route not found\n"
	}
	text += fmt.Sprintf("%s, ubest/mbest: %d/0\n", at.prefix, len(active))
	for _, one := range active {
		text += "    *via " + nxosWay(one) + fmt.Sprintf(", [%d/0], 00:00:05, static", one.dist())
		if one.tag != "" {
			text += ", tag " + one.tag
		}
		text += "\n"
	}
	return text + "\n"
}

func nxosWay(one *route) string {
	switch {
	case one.iface == "":
		return one.hop.String()
	case !one.hop.IsValid():
		return one.iface
	default:
		return one.hop.String() + ", " + one.iface
	}
}
