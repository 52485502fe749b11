package cisco

import (
	"net/netip"
	"regexp"
)

// eos is Arista EOS.
func eos() *dialect {
	return &dialect{
		screen: []string{"terminal length 0", "terminal width 32767", "terminal no monitor"},
		do:     "do ",
		read:   []string{"show running-config | include ^ip route|^ipv6 route"},
		write: func(l line) string {
			return verb(l) + " " + inVRF(l.vrf) + l.prefix.String() + " " + l.via.String() + options(l, "distance", "tag", "name")
		},
		enter: topLevel,
		show: func(vrf string, prefix netip.Prefix) string {
			if prefix.Addr().Is4() {
				return "show ip route " + inVRF(vrf) + prefix.String()
			}
			return "show ipv6 route " + inVRF(vrf) + prefix.String()
		},
		via:   wordsVia,
		save:  "write memory",
		saved: regexp.MustCompile(`(?i)copy completed successfully`),
		named: 50,
	}
}
