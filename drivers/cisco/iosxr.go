package cisco

import "net/netip"

// iosxr is Cisco IOS-XR: routes are in blocks, and what is typed is a candidate
// until it is committed, which is also kept across a restart.
func iosxr() *dialect {
	return &dialect{
		screen: []string{"terminal length 0", "terminal width 511", "terminal monitor disable"},
		read:   []string{"show running-config router static"},
		do:     "do ",
		write: func(l line) string {
			return l.prefix.String() + " " + l.via.String() + options(l, "distance", "tag", "description")
		},
		enter: func(vrf string, ipv6 bool) []string {
			family := "address-family ipv4 unicast"
			if ipv6 {
				family = "address-family ipv6 unicast"
			}
			if vrf == "" {
				return []string{"router static", family}
			}
			return []string{"router static", "vrf " + vrf, family}
		},
		show: func(vrf string, prefix netip.Prefix) string {
			family := "ipv4"
			if prefix.Addr().Is6() {
				family = "ipv6"
			}
			return "show route " + inVRF(vrf) + family + " unicast " + prefix.String()
		},
		via:     wordsVia,
		commit:  []string{"commit"},
		abandon: []string{"abort"},
		named:   50,
	}
}
