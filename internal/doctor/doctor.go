// Package doctor finds what on a machine keeps routesteer from doing its work
// well, and says how to mend it. It changes nothing.
//
//	Look   reads the machine     ─► Snapshot
//	Judge  the site, a Snapshot  ─► Checks; pure
package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/topology"
)

// A Snapshot is what was read from a machine. The zero value knows nothing.
type Snapshot struct {
	Rights   []string              // capabilities of this process, of those that matter
	Sysctls  map[string]string     // by name; one that the kernel does not have is absent
	Links    map[netip.Addr]string // by server address, the interface that leads to it; absent when none does
	Nftables error                 // why nftables cannot be used; nil when it can
	Rules    []Rule                // the policy rules, in the order in which they are tried
	Routes   []Route               // that are for VIPs, or in tables that are kept for us
	Networkd Networkd
	Managed  map[string]bool // by interface, whether NetworkManager manages it
}

// A Check is one thing that was looked at.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	What string `json:"what,omitempty"` // what is wrong
	Why  string `json:"why,omitempty"`  // why it matters
	Mend string `json:"mend,omitempty"` // the command that mends it
}

// The rights that routesteer needs.
const (
	netAdmin = "CAP_NET_ADMIN"
	netRaw   = "CAP_NET_RAW"
)

// Sysctls by name.
const (
	forward4    = "net.ipv4.ip_forward"
	forward6    = "net.ipv6.conf.all.forwarding"
	compatMode  = "net.ipv4.nexthop_compat_mode"
	hashPolicy4 = "net.ipv4.fib_multipath_hash_policy"
	hashPolicy6 = "net.ipv6.fib_multipath_hash_policy"
)

// rpFilter is the sysctl of an interface, or of "all".
func rpFilter(link string) string { return "net.ipv4.conf." + link + ".rp_filter" }

// manyPrefixes is from when on what is done once for each prefix takes time that
// matters: about a millisecond for a thousand.
const manyPrefixes = 1000

// Judge says what is wrong with a machine for a site, check by check. Checks that
// the site has no need of are left out.
func Judge(site *topology.Site, s Snapshot) []Check {
	checks := []Check{rights(s)}
	for _, v4 := range []bool{true, false} {
		if has(site, v4, "") {
			checks = append(checks, forwarding(s, v4))
		}
	}
	checks = append(checks, reversePath(s))
	for _, v4 := range []bool{true, false} {
		if has(site, v4, topology.ECMP) {
			checks = append(checks, hashing(s, v4))
		}
	}
	return append(checks, notifications(site, s), nftables(s),
		routesOfOthers(site, s), policyRules(site, s), numbers(site, s), networkd(s), networkManager(s))
}

// has reports whether the site has a VIP of that family and mode; "" is any mode.
func has(site *topology.Site, v4 bool, mode topology.Mode) bool {
	return slices.ContainsFunc(site.VIPs, func(vip topology.VIP) bool {
		return vip.Prefix.Addr().Is4() == v4 && (mode == "" || vip.Mode == mode)
	})
}

func rights(s Snapshot) Check {
	var missing []string
	for _, right := range []string{netAdmin, netRaw} {
		if !slices.Contains(s.Rights, right) {
			missing = append(missing, right)
		}
	}
	c := Check{Name: "rights", OK: missing == nil}
	if !c.OK {
		c.What = "this process lacks " + strings.Join(missing, " and ")
		c.Why = "routes, rules and marks need CAP_NET_ADMIN, echoes need CAP_NET_RAW: without them no controller starts"
		c.Mend = `run as root, or: setcap cap_net_admin,cap_net_raw+ep "$(command -v routesteer)"`
	}
	return c
}

func forwarding(s Snapshot, v4 bool) Check {
	family, key := "IPv6", forward6
	if v4 {
		family, key = "IPv4", forward4
	}
	return s.sysctl(Check{
		Name: "forwarding of " + family,
		What: "this machine does not forward " + family,
		Why:  "clients' packets for the VIPs end here, whatever the routes say",
	}, key, "1")
}

// sysctl is the check that a sysctl has one of the good values.
func (s Snapshot) sysctl(bad Check, key string, good ...string) Check {
	value, known := s.Sysctls[key]
	if known && slices.Contains(good, value) {
		return Check{Name: bad.Name, OK: true}
	}
	if !known {
		value = "not known to this kernel"
	}
	bad.What += fmt.Sprintf(" (%s is %s)", key, value)
	bad.Mend = fmt.Sprintf("sysctl -w %s=%s", key, good[0])
	return bad
}

// reversePath finds interfaces whose strict filter drops the answers to checks
// when servers are behind several: main's route for the VIP, which the filter goes
// by, leads to one of them.
func reversePath(s Snapshot) Check {
	c := Check{Name: "reverse path filter"}
	facing := map[string]bool{}
	for address, link := range s.Links {
		if address.Is4() {
			facing[link] = true
		}
	}
	var strict []string
	for link := range facing {
		if max(s.Sysctls[rpFilter("all")], s.Sysctls[rpFilter(link)]) == "1" {
			strict = append(strict, link)
		}
	}
	if len(facing) < 2 || len(strict) == 0 {
		c.OK = true
		return c
	}
	slices.Sort(strict)
	c.What = fmt.Sprintf("the reverse path filter is strict on %s, and servers are behind %d interfaces", strings.Join(strict, ", "), len(facing))
	c.Why = "a VIP's answers that come in by another interface than its route goes out by are dropped: checks of standbys there fail"
	var mend []string
	for _, link := range strict {
		mend = append(mend, rpFilter(link)+"=2") // the kernel takes the higher of all's and the link's
	}
	c.Mend = "sysctl -w " + strings.Join(mend, " ")
	return c
}

func hashing(s Snapshot, v4 bool) Check {
	family, key := "IPv6", hashPolicy6
	if v4 {
		family, key = "IPv4", hashPolicy4
	}
	return s.sysctl(Check{
		Name: "multipath hashing of " + family,
		What: "VIPs in ecmp mode are shared out by addresses alone",
		Why:  "all connections of one client, and of all clients behind one address, go to the same server",
	}, key, "1", "2", "3")
}

func notifications(site *topology.Site, s Snapshot) Check {
	c := Check{
		Name: "nexthop notifications",
		What: fmt.Sprintf("the kernel tells of every route that changes with its nexthop object, and there are %d prefixes", len(site.VIPs)),
		Why: "prefixes that move together share one object, so that a move is one message; with " + compatMode + "=1 the kernel still writes " +
			"a notification for each route, about a microsecond each, before the move is done",
	}
	if _, known := s.Sysctls[compatMode]; !known || len(site.VIPs) < manyPrefixes {
		return Check{Name: c.Name, OK: true}
	}
	return s.sysctl(c, compatMode, "0")
}

func nftables(s Snapshot) Check {
	c := Check{Name: "nftables", OK: s.Nftables == nil}
	if !c.OK {
		c.What = "nftables cannot be used: " + s.Nftables.Error()
		c.Why = "a drain cannot keep established connections where they are, and cuts them"
		c.Mend = "modprobe nf_tables"
	}
	return c
}
