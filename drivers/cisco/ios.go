package cisco

import (
	"net/netip"
	"regexp"
)

// ios is Cisco IOS and IOS-XE.
func ios() *dialect {
	return &dialect{
		screen: []string{"terminal length 0", "terminal width 511", "terminal no monitor"},
		read:   []string{"show running-config | include ^ip route|^ipv6 route"},
		do:     "do ",
		write: func(l line) string {
			// Of IPv4 it takes dotted masks alone.
			destination := l.prefix.String()
			if l.prefix.Addr().Is4() {
				destination = l.prefix.Addr().String() + " " + dotted(l.prefix)
			}
			return verb(l) + " " + inVRF(l.vrf) + destination + " " + l.via.String() + options(l, "distance", "tag", "permanent", "name")
		},
		enter: topLevel,
		show: func(vrf string, prefix netip.Prefix) string {
			if prefix.Addr().Is4() {
				return "show ip route " + inVRF(vrf) + prefix.Addr().String() + " " + dotted(prefix)
			}
			return "show ipv6 route " + inVRF(vrf) + prefix.String()
		},
		via:   wordsVia,
		save:  "write memory",
		saved: regexp.MustCompile(`\[OK\]`),
		named: 50,
	}
}
