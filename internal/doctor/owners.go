package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/topology"
)

// A Route is a route of the kernel that is for VIPs, wholly or in part, or is in a
// table that is kept for us.
type Route struct {
	Prefix   netip.Prefix
	Table    int
	Metric   int
	Protocol uint8
	Throw    bool // it ends the look into its table
}

// delete is the command that removes the route.
func (r Route) delete() string {
	text := fmt.Sprintf("ip %s route del %s table %d proto %d", flag(r.Prefix.Addr().Is4()), r.Prefix, r.Table, r.Protocol)
	if r.Metric > 0 {
		text += fmt.Sprintf(" metric %d", r.Metric)
	}
	return text
}

// inOurTables reports whether the route is another's in a table of checks or of
// planned moves.
func (r Route) inOurTables(site *topology.Site) bool {
	switch {
	case within(r.Table, site.Paths.Table, pathsOf(site)):
		return r.Protocol != pathProtocol
	case within(r.Table, topology.FlowTable, topology.FlowPaths):
		return !isMark(site, r.Protocol)
	default:
		return false
	}
}

// owner is the program that makes routes with that protocol number, and where it
// is told to; see /etc/iproute2/rt_protos.
func owner(protocol uint8) (name, where string) {
	switch protocol {
	case 12:
		return "BIRD", "BIRD's configuration"
	case 11, 186, 187, 188, 189, 192, 194, 195, 196:
		return "FRR", "FRR's configuration"
	case 18:
		return "keepalived", "keepalived's configuration"
	case 3, 4:
		return "an operator, NetworkManager or systemd-networkd", "the interface's configuration"
	case 16:
		return "a DHCP client", "the DHCP server's configuration"
	default:
		return fmt.Sprintf("the program of route protocol %d", protocol), "its configuration"
	}
}

// routesOfOthers finds routes that take a VIP's packets, wholly or in part, and
// were not made by us.
func routesOfOthers(site *topology.Site, s Snapshot) Check {
	var what, mend []string
	for _, route := range s.Routes {
		if !s.isInTheWay(site, route) {
			continue
		}
		name, where := owner(route.Protocol)
		what = append(what, fmt.Sprintf("%s has a route for %s in table %d (see %s)", name, route.Prefix, route.Table, where))
		mend = append(mend, route.delete())
	}
	if what == nil {
		return Check{Name: "routes of other programs", OK: true}
	}
	const shown = 8
	if more := len(what) - shown; more > 0 {
		what, mend = append(what[:shown], fmt.Sprintf("and %d more", more)), mend[:shown]
	}
	return Check{
		Name: "routes of other programs", What: strings.Join(what, "; "), Mend: strings.Join(mend, "; "),
		Why: "routesteer leaves it alone, so it does not steer those packets; with adopt: true for the router it takes over a route for a whole VIP, " +
			"and the other program, if it still means to, writes it again",
	}
}

// isInTheWay reports whether a route in a router's table is another's, for a VIP or
// a part of it.
func (s Snapshot) isInTheWay(site *topology.Site, route Route) bool {
	return slices.ContainsFunc(site.Routers, func(r topology.Router) bool {
		if r.Linux == nil || r.Linux.Table != route.Table || r.Linux.Protocol == route.Protocol {
			return false
		}
		vip, known := covering(site, route.Prefix)
		return known && !(r.Linux.Adopt && vip == route.Prefix)
	})
}

// covering finds the VIP that a prefix is, or is a part of.
func covering(site *topology.Site, prefix netip.Prefix) (netip.Prefix, bool) {
	at, same := slices.BinarySearchFunc(site.VIPs, prefix, func(vip topology.VIP, p netip.Prefix) int { return vip.Prefix.Compare(p) })
	if !same {
		at-- // the last that begins before
	}
	if at < 0 || site.VIPs[at].Prefix.Bits() > prefix.Bits() || !site.VIPs[at].Prefix.Contains(prefix.Addr()) {
		return netip.Prefix{}, false
	}
	return site.VIPs[at].Prefix, true
}

// Networkd is what systemd-networkd, while it runs, does with what others made.
type Networkd struct {
	Running      bool
	TakesRoutes  bool // ManageForeignRoutes, see networkd.conf(5)
	TakesRules   bool // ManageForeignRoutingPolicyRules
	TakesObjects bool // ManageForeignNextHops
}

func networkd(s Snapshot) Check {
	c := Check{Name: "systemd-networkd", OK: true}
	if n := s.Networkd; !n.Running || !n.TakesRoutes && !n.TakesRules && !n.TakesObjects {
		return c
	}
	return Check{
		Name: c.Name,
		What: "systemd-networkd runs, and takes routes, nexthop objects or policy rules that others made for its own to delete",
		Why: "by networkd.conf(5) it removes what is not in its own files when it starts or sets up an interface: traffic stops until ours is written again, " +
			"checks fail, and planned moves cut connections",
		Mend: `mkdir -p /etc/systemd/networkd.conf.d && printf '[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\nManageForeignNextHops=no\n' ` +
			`>/etc/systemd/networkd.conf.d/routesteer.conf && systemctl restart systemd-networkd`,
	}
}

func networkManager(s Snapshot) Check {
	c := Check{Name: "NetworkManager", OK: true}
	var managed []string
	for _, link := range s.Links {
		if s.Managed[link] && !slices.Contains(managed, link) {
			managed = append(managed, link)
		}
	}
	if managed == nil {
		return c
	}
	slices.Sort(managed)
	return Check{
		Name: c.Name,
		What: "NetworkManager manages " + strings.Join(managed, ", ") + ", by which servers are reached",
		Why: "when it activates a connection there, it removes routes of the interface that are not in the connection's profile, ours for VIPs and checks " +
			"among them: traffic stops until they are written again (give the interface its addresses by other means before it is taken away)",
		Mend: fmt.Sprintf(`printf '[keyfile]\nunmanaged-devices+=interface-name:%s\n' >/etc/NetworkManager/conf.d/routesteer.conf && nmcli general reload conf`,
			strings.Join(managed, ";interface-name:")),
	}
}
