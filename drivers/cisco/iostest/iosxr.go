package iostest

import (
	"fmt"
	"time"
)

// newXR is IOS-XR: changes wait for commit, routes stand in blocks.
func newXR() *dialect {
	exec := execCommands(
		command{"show configuration lock", showLock},
		command{"terminal monitor disable", monitorOff}, command{"show route …", showRoute(false)})
	families := []command{
		{"address-family ipv4 unicast", enter("afi", false)},
		{"address-family ipv6 unicast", enter("afi", true)},
		{"exit", up}, {"end", end},
	}
	return &dialect{
		name: "iosxr",
		grammar: grammar{
			name: "description", words: []string{"tag", "permanent", "track"}, bare: true,
			inconsistent: "% Invalid prefix: host bits are set",
		},
		order: []string{"distance", "tag", "permanent", "description", "name", "track"},
		user:  userCommands(),
		exec:  exec,
		config: map[string][]command{
			"config": configCommands(command{"router static", enter("static", false)}, command{"router bgp …", nil}),
			"static": append([]command{{"vrf …", enterVRF(false)}}, families...),
			"vrf":    families,
			"afi":    {{"exit", up}, {"end", end}},
		},
		anywhere:     candidateCommands(),
		commit:       []string{"commit"},
		promptPrefix: "RP/0/RSP0/CPU0:",
		promptLimit:  -1, maxWidth: 512,
		do: true, candidates: true, dated: true,
		caret:        whereInvalid,
		invalid:      "% Invalid input detected at '^' marker.\n",
		incomplete:   "% Incomplete command.\n",
		ambiguous:    "% Ambiguous command:  \"LINE\"\n",
		unauthorized: "% This command is not authorized\n",
		own:          "'ip-static' detected the 'warning' condition 'Next hop is a local address'",
		preamble:     "Building configuration...\n!! IOS XR Configuration 7.3.2\n",
		print:        printXR,
	}
}

// xrLine prints a route of a block.
func xrLine(r *Router, one *route) string { return shortLine(r, one, "", "description") }

// xrHeading is what an uncommitted route stands under.
func xrHeading(one *route) string {
	vrf := ""
	if one.vrf != "" {
		vrf = " vrf " + one.vrf + "\n"
	}
	return "router static\n" + vrf + " address-family " + xrFamily(one.prefix.Addr().Is6())
}

func xrFamily(v6 bool) string {
	if v6 {
		return "ipv6 unicast"
	}
	return "ipv4 unicast"
}

func printXR(r *Router) []string {
	if len(r.routes) == 0 {
		return nil
	}
	lines := append([]string{"router static"}, xrFamilies(r, "", " ")...)
	seen := ""
	for _, one := range r.routes {
		if one.vrf != seen {
			seen = one.vrf
			lines = append(lines, " vrf "+seen)
			lines = append(lines, xrFamilies(r, seen, "  ")...)
			lines = append(lines, " !")
		}
	}
	return append(lines, "!")
}

// xrFamilies prints the families of a VRF that have routes.
func xrFamilies(r *Router, vrf, indent string) []string {
	var lines []string
	for _, v6 := range []bool{false, true} {
		var routes []string
		for _, one := range r.routes {
			if one.vrf == vrf && one.prefix.Addr().Is6() == v6 {
				routes = append(routes, indent+" "+xrLine(r, one))
			}
		}
		if len(routes) > 0 {
			lines = append(append(append(lines, indent+"address-family "+xrFamily(v6)), routes...), indent+"!")
		}
	}
	return lines
}

func detailXR(at where, active []*route) string {
	if len(active) == 0 {
		return "% Network not in table\n"
	}
	text := fmt.Sprintf("\nRouting entry for %s\n  Known via \"static\", distance %d, metric 0\n  Installed %s for 00:00:05\n  Routing Descriptor Blocks\n",
		at.prefix, active[0].dist(), time.Now().UTC().Format("Jan _2 15:04:05.000"))
	for _, one := range active {
		text += "    " + iosWay(one) + "\n      Route metric is 0\n"
	}
	return text + "  No advertising protos. \n"
}
