package cisco

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"
)

// frr is FRRouting's vtysh. It knows no names of routes: our tag marks ours. It
// takes what is typed before zebra installs it, so its forwarding is asked for
// until it does.
func frr() *dialect {
	return &dialect{
		screen: []string{"terminal length 0", "terminal no monitor"}, // any other length turns the pager on
		read:   []string{"show running-config"},                      // VRFs are blocks, which a filter would lose
		do:     "do ",
		write: func(l line) string {
			return verb(l) + " " + l.prefix.String() + " " + l.via.String() + options(l, "tag", "distance")
		},
		enter: func(vrf string, _ bool) []string {
			if vrf == "" {
				return nil
			}
			return []string{"vrf " + vrf}
		},
		show: func(vrf string, prefix netip.Prefix) string {
			if prefix.Addr().Is4() {
				return "show ip route " + inVRF(vrf) + prefix.String() + " json"
			}
			return "show ipv6 route " + inVRF(vrf) + prefix.String() + " json"
		},
		via:   frrVia,
		save:  "write memory",
		saved: regexp.MustCompile(`\[OK\]|(?i)configuration saved to`),
	}
}

// frrRoute is a route in the answer to "show ip route PREFIX json".
type frrRoute struct {
	Selected bool `json:"selected"`
	Nexthops []struct {
		IP  string `json:"ip"`
		FIB bool   `json:"fib"`
	} `json:"nexthops"`
}

// frrVia finds the next hops that are in the kernel.
func frrVia(answer string, prefix netip.Prefix) []netip.Addr {
	start, end := strings.IndexByte(answer, '{'), strings.LastIndexByte(answer, '}')
	if start < 0 || end < start {
		return nil
	}
	var routes map[string][]frrRoute
	if json.Unmarshal([]byte(answer[start:end+1]), &routes) != nil {
		return nil
	}
	var via []netip.Addr
	for _, route := range routes[prefix.String()] {
		for _, hop := range route.Nexthops {
			if addr, err := netip.ParseAddr(hop.IP); err == nil && hop.FIB && route.Selected {
				via = append(via, addr)
			}
		}
	}
	return via
}
