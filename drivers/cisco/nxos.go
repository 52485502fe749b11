package cisco

import (
	"net/netip"
	"regexp"
	"strings"
)

// nxos is Cisco NX-OS. Routes of a VRF are in its own block.
func nxos() *dialect {
	return &dialect{
		screen: []string{"terminal length 0", "terminal width 511", "terminal no monitor"},
		read:   []string{"show running-config | include '^ip(v6)* route'", "show running-config | section '^vrf context'"},
		write: func(l line) string {
			return verb(l) + " " + l.prefix.String() + " " + l.via.String() + options(l, "name", "tag", "distance")
		},
		enter: func(vrf string, _ bool) []string {
			if vrf == "" {
				return nil
			}
			return []string{"vrf context " + vrf}
		},
		show: func(vrf string, prefix netip.Prefix) string {
			command := "show ip route " + prefix.String()
			if prefix.Addr().Is6() {
				command = "show ipv6 route " + prefix.String()
			}
			if vrf != "" {
				command += " vrf " + vrf
			}
			return command
		},
		via:   nxosVia,
		save:  "copy running-config startup-config",
		saved: regexp.MustCompile(`(?i)copy complete|\[#+\]\s*100%`),
		named: 50,
	}
}

// nxosVia finds the next hops that are in use, which have a star: NX-OS also
// shows those of routes that wait behind a better one.
func nxosVia(answer string, prefix netip.Prefix) []netip.Addr {
	var used strings.Builder
	for text := range strings.Lines(answer) {
		if !strings.HasPrefix(strings.TrimSpace(text), "via ") {
			used.WriteString(text)
		}
	}
	return wordsVia(used.String(), prefix)
}
