package iostest

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A route is a line of the configuration.
type route struct {
	vrf    string
	prefix netip.Prefix
	hop    netip.Addr // zero with an interface alone
	iface  string

	distance  int    // 0: not given, which means 1
	tag       string // decimal; likewise track
	name      string
	track     string
	permanent bool
	multicast bool

	ready time.Time // when it may be installed
}

// where is what a route is looked up by.
type where struct {
	vrf    string
	prefix netip.Prefix
}

func (r *route) where() where { return where{r.vrf, r.prefix} }

// dist is the administrative distance.
func (r *route) dist() int { return max(r.distance, 1) }

// same tells whether two lines have the same destination and way.
func (r *route) same(o *route) bool {
	return r.where() == o.where() && r.hop == o.hop && r.iface == o.iface
}

// before is the order of the running configuration.
func (r *route) before(o *route) int {
	return cmp.Or(
		cmp.Compare(r.vrf, o.vrf),
		r.prefix.Addr().Compare(o.prefix.Addr()),
		cmp.Compare(r.prefix.Bits(), o.prefix.Bits()),
	)
}

// removedBy tells whether "no" with the line pattern removes the route: the
// parts that the line leaves out match anything.
func (r *route) removedBy(pattern *route, loose bool) bool {
	if r.where() != pattern.where() {
		return false
	}
	if (pattern.hop.IsValid() || pattern.iface != "") && !r.same(pattern) {
		return false
	}
	return loose || r.has(pattern)
}

// has tells whether the route has all options of pattern.
func (r *route) has(pattern *route) bool {
	given := func(want, have string) bool { return want == "" || want == have }
	return (pattern.distance == 0 || pattern.distance == r.dist()) &&
		given(pattern.tag, r.tag) && given(pattern.name, r.name) && given(pattern.track, r.track) &&
		(!pattern.permanent || r.permanent) && (!pattern.multicast || r.multicast)
}

// options prints the options in the given order.
func (r *route) options(order []string, name string) string {
	text := ""
	for _, option := range order {
		text += r.option(option, name)
	}
	return text
}

func (r *route) option(option, name string) string {
	switch {
	case option == "distance" && r.distance > 1:
		return fmt.Sprintf(" %d", r.distance)
	case option == "tag" && r.tag != "":
		return " tag " + r.tag
	case option == "name" && r.name != "":
		return " " + name + " " + r.name
	case option == "track" && r.track != "":
		return " track " + r.track
	case option == "permanent" && r.permanent:
		return " permanent"
	case option == "multicast" && r.multicast:
		return " multicast"
	}
	return ""
}

// way prints the interface and next hop.
func (r *route) way(address func(netip.Addr) string) string {
	parts := []string{}
	if r.iface != "" {
		parts = append(parts, r.iface)
	}
	if r.hop.IsValid() {
		parts = append(parts, address(r.hop))
	}
	return strings.Join(parts, " ")
}

// mask prints the mask of an IPv4 prefix in dotted form.
func mask(p netip.Prefix) string { return net.IP(net.CIDRMask(p.Bits(), 32)).String() }

// add configures a route. The one it replaces keeps being forwarded by.
func (r *Router) add(n *route) {
	n.ready = time.Now().Add(r.faults.InstallDelay)
	for i, have := range r.routes {
		if have.same(n) && (!r.opts.Distinct || have.dist() == n.dist()) {
			n.ready = have.ready
			r.routes[i] = n
			return
		}
	}
	at, _ := slices.BinarySearchFunc(r.routes, n, func(have, n *route) int {
		return cmp.Or(have.before(n), -1) // behind its equals
	})
	r.routes = slices.Insert(r.routes, at, n)
	if delay := r.faults.InstallDelay; delay > 0 {
		r.delayed = append(r.delayed, time.AfterFunc(delay, r.installLate))
	}
}

// remove takes away what a "no" line means, and tells whether there was any.
func (r *Router) remove(pattern *route) bool {
	before := len(r.routes)
	r.routes = slices.DeleteFunc(r.routes, func(have *route) bool {
		return have.removedBy(pattern, r.opts.LooseNo)
	})
	return len(r.routes) < before
}

// isOwn tells whether a next hop is the router itself.
func (r *Router) isOwn(hop netip.Addr) bool { return slices.Contains(r.opts.Own, hop) }
