package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/topology"
)

// strangers are the policy rules of others that may come before a path's, by
// family. `ip rule add` without a priority puts a rule before all that are
// there, but for rule 0.
type strangers map[int][]netlink.Rule

// strangers reads them. Table local, of which every machine has a rule, is not
// one: a VIP in it is told by its route.
func (k *kernel) strangers(base topology.Paths) (strangers, error) {
	all := strangers{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := k.rules.RuleList(family)
		if err != nil {
			return nil, fmt.Errorf("read policy rules: %w", err)
		}
		for _, rule := range rules {
			if !isOurs(base, rule) && rule.Table != unix.RT_TABLE_LOCAL && rule.Priority < base.Priority+maxPaths {
				all[family] = append(all[family], rule)
			}
		}
	}
	return all, nil
}

// of are the rules that may come before the path's.
func (s strangers) of(path *path) (before []netlink.Rule) {
	for _, rule := range s[path.family()] {
		if rule.Priority <= path.priority {
			before = append(before, rule)
		}
	}
	return before
}

// sample picks from the VIP addresses one that stands for all but those that a
// rule picks by the destination; not valid if there is none.
func sample(addresses []netip.Addr, before []netlink.Rule) (one netip.Addr, picked []netip.Addr) {
	for _, address := range addresses {
		byRule := slices.ContainsFunc(before, func(rule netlink.Rule) bool {
			return rule.Dst != nil && rule.Dst.Contains(address.AsSlice()) != rule.Invert
		})
		switch {
		case byRule:
			picked = append(picked, address)
		case !one.IsValid():
			one = address
		}
	}
	return one, picked
}

// detour asks the kernel where a packet for to with the path's mark goes. It
// returns nil if that is the path's address, by the path's table, else why not.
func (k *kernel) detour(path *path, to netip.Addr, before []netlink.Rule) error {
	route, err := k.lookUp(path, to, nil)
	if err == nil && path.isTaken(route) && len(before) > 0 {
		// A rule may go by the source address, which a connection gets only from
		// its first look-up.
		route, err = k.lookUp(path, to, route.Src)
	}
	if err == nil && path.isTaken(route) {
		return nil
	}
	return path.blame(route, err, to, before)
}

// lookUp is `ip route get` with the path's mark.
func (k *kernel) lookUp(path *path, to netip.Addr, source net.IP) (netlink.Route, error) {
	routes, err := k.rules.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{Mark: path.mark, SrcAddr: source})
	if err != nil {
		return netlink.Route{}, err
	}
	if len(routes) != 1 {
		return netlink.Route{}, fmt.Errorf("the kernel names %d routes for one packet", len(routes))
	}
	return routes[0], nil
}

// isTaken reports whether a packet that takes the route is on the path.
func (p *path) isTaken(route netlink.Route) bool {
	via := []byte(route.Gw)
	if inet6, is := route.Via.(*netlink.Via); is {
		via = inet6.Addr
	}
	gateway, ok := netip.AddrFromSlice(via)
	return ok && gateway.Unmap() == p.address.WithZone("") && route.Table == p.table
}

// blame says why a look-up did not come out at the path's address.
func (p *path) blame(route netlink.Route, err error, to netip.Addr, before []netlink.Rule) error {
	for _, rule := range before {
		if decides(rule, route, err) && catches(rule, p, to) {
			return fmt.Errorf("policy rule %d (%s) comes before routesteer's: checks cannot be forced to %s", rule.Priority, action(rule), p.server)
		}
	}
	switch {
	case err != nil && p.refused != nil:
		return p.apart()
	case err != nil:
		return fmt.Errorf("no direct path to %s: %w", p.address, err)
	case route.Type == unix.RTN_LOCAL:
		return fmt.Errorf("%s is an address of this machine: checks cannot be forced to %s", to, p.server)
	case route.Table == p.table:
		return fmt.Errorf("a route in table %d is not routesteer's: checks cannot be forced to %s", p.table, p.server)
	default:
		return fmt.Errorf("the kernel sends checks by routing table %d: they cannot be forced to %s", route.Table, p.server)
	}
}

// decides reports whether the rule can have brought about what the look-up
// said. One without a table refuses packets: unreachable, prohibit, blackhole.
// The end of our own tables says EHOSTUNREACH, which such rules never do.
func decides(rule netlink.Rule, route netlink.Route, err error) bool {
	if err != nil {
		return rule.Table == unix.RT_TABLE_UNSPEC && rule.Goto <= 0 && !errors.Is(err, unix.EHOSTUNREACH)
	}
	return rule.Table == route.Table
}

// catches reports whether the rule's selectors fit the path's packets, as far
// as they say so plainly.
func catches(rule netlink.Rule, path *path, to netip.Addr) bool {
	if rule.Invert {
		return true
	}
	mask := uint32(0xffffffff)
	if rule.Mask != nil {
		mask = *rule.Mask
	}
	if rule.Mark != 0 && rule.Mark != path.mark&mask {
		return false
	}
	return rule.Dst == nil || rule.Dst.Contains(to.AsSlice())
}

// action is what a rule does.
func action(rule netlink.Rule) string {
	if rule.Table == unix.RT_TABLE_UNSPEC {
		return "refuses packets"
	}
	return fmt.Sprintf("lookup %d", rule.Table)
}
