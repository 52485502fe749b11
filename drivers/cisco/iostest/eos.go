package iostest

import (
	"fmt"
	"strings"
)

// newEOS is Arista's EOS: like IOS with prefix lengths, and errors without
// caret.
func newEOS() *dialect {
	return &dialect{
		name: "eos",
		grammar: grammar{
			name: "name", words: []string{"tag", "track"}, bare: true,
			inconsistent: "% Invalid prefix: host part must be zero",
		},
		order: []string{"distance", "tag", "name", "track"},
		user:  userCommands(),
		exec: execCommands(append(saving(),
			command{"no terminal monitor", monitorOff},
			command{"show ip route …", showRoute(false)}, command{"show ipv6 route …", showRoute(true)})...),
		config:   map[string][]command{"config": configCommands(append(routeCommands(), command{"configure session …", nil})...)},
		minWidth: 10, maxWidth: 32767,
		do: true, inlineVRF: true,
		invalid:      "% Invalid input\n",
		incomplete:   "% Incomplete command\n",
		ambiguous:    "% Ambiguous command\n",
		unauthorized: "% Authorization denied for command\n",
		own:          "% Invalid next hop address (it's this router)",
		saved:        "Copy completed successfully.\n",
		preamble:     "! Command: show running-config\n! device: R1 (vEOS, EOS-4.28.3M)\n!\n",
		print:        printEOS,
	}
}

func printEOS(r *Router) []string {
	var lines []string
	for _, one := range r.routes {
		head := family(one) + " route "
		if one.vrf != "" {
			head += "vrf " + one.vrf + " "
		}
		lines = append(lines, shortLine(r, one, head, "name"))
	}
	return lines
}

func detailEOS(at where, active []*route) string {
	vrf := at.vrf
	if vrf == "" {
		vrf = "default"
	}
	text := "\nVRF: " + vrf + "\nCodes: C - connected, S - static, K - kernel, \n       B - Other BGP Routes\n\n"
	for i, one := range active {
		head := fmt.Sprintf(" S        %s [%d/0]", at.prefix, one.dist())
		if i > 0 {
			head = strings.Repeat(" ", 24)
		}
		text += head + " " + eosWay(one) + "\n"
	}
	return text + "\n"
}

func eosWay(one *route) string {
	switch {
	case !one.hop.IsValid():
		return "is directly connected, " + one.iface
	case one.iface == "":
		return "via " + one.hop.String() + ", Vlan10"
	default:
		return "via " + one.hop.String() + ", " + one.iface
	}
}
