// Package sweep removes from this machine's kernel what routesteer puts there
// and a killed controller leaves: policy rules, routing tables, nftables tables,
// nexthop objects that no route uses, and, where that is asked for, the routes of
// the VIPs themselves.
//
// What is ours is told by its mark, its route protocol number, in the ranges of
// numbers that are kept for us. All else is left alone. Nothing here may be used
// beside a running controller.
package sweep

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/topology"
)

const (
	pathProtocol = 82   // of the rules and tables of checks (health/probe)
	pathCount    = 4096 // how many marks, tables and priorities are kept for them
)

// Options say what is removed.
type Options struct {
	Paths   topology.Paths   // where the rules and tables of checks begin
	Routers []topology.Linux // whose marks are ours
	Routes  bool             // remove the routes of the VIPs, too
	DryRun  bool             // remove nothing, only say what would be
}

// An Item is one thing that was, or would be, removed.
type Item struct {
	Kind string `json:"kind"` // "rule", "route", "nftables", "nexthop"
	What string `json:"what"` // in the words of ip(8) and nft(8)
}

// A Report is what came of a sweep.
type Report struct {
	Removed []Item `json:"removed"` // in the order of removal; never null
	Routes  int    `json:"routes"`  // routes of VIPs that stay
}

// A sweep is one run over one network namespace.
type sweep struct {
	Options
	kernel *netlink.Handle
	report Report
}

// Sweep sweeps the network namespace of the calling thread. It needs
// CAP_NET_ADMIN, and does not stop at the first thing that cannot be removed: the
// error joins all of them, and says of each what it was. What is gone already is
// no error.
func Sweep(options Options) (Report, error) {
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
	if err != nil {
		return Report{}, fmt.Errorf("open netlink: %w", err)
	}
	defer kernel.Close()
	s := &sweep{Options: options, kernel: kernel, report: Report{Removed: []Item{}}}
	var failed []error
	// Rules before what they lead to, routes before what they use.
	for _, part := range []func() error{s.rules, s.nftables, s.tables, s.nexthops} {
		failed = append(failed, part())
	}
	return s.report, errors.Join(failed...)
}

// remove notes an item, and removes it unless this is a trial.
func (s *sweep) remove(kind, what string, do func() error) error {
	if !s.DryRun {
		if err := do(); err != nil && !isGone(err) {
			return fmt.Errorf("remove %s %s: %w", kind, what, err)
		}
	}
	s.report.Removed = append(s.report.Removed, Item{kind, what})
	return nil
}

// isGone reports whether there was nothing to remove.
func isGone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) }

// rules removes our policy rules.
func (s *sweep) rules() error {
	var failed []error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all, err := s.kernel.RuleList(family)
		if err != nil {
			failed = append(failed, fmt.Errorf("read policy rules: %w", err))
			continue
		}
		for _, rule := range all {
			if s.ownsRule(rule) {
				what := fmt.Sprintf("ip %s rule %d: fwmark %#x%s", flag(family), rule.Priority, rule.Mark, action(rule))
				failed = append(failed, s.remove("rule", what, func() error { return s.kernel.RuleDel(&rule) }))
			}
		}
	}
	return errors.Join(failed...)
}

// action is where a rule leads.
func action(rule netlink.Rule) string {
	switch {
	case rule.Goto > 0:
		return fmt.Sprintf(" goto %d", rule.Goto)
	case rule.Table > 0:
		return fmt.Sprintf(" lookup %d", rule.Table)
	default:
		return " nop"
	}
}

// ownsRule reports whether a rule is of checks, or of moves under way.
func (s *sweep) ownsRule(rule netlink.Rule) bool {
	switch {
	case within(rule.Priority, s.Paths.Priority, pathCount) && rule.Protocol == pathProtocol:
		return within(rule.Table, s.Paths.Table, pathCount)
	case within(rule.Priority, topology.FlowPriority, topology.FlowRules):
		return s.isMark(rule.Protocol)
	default:
		return false
	}
}

// isMark reports whether a protocol number marks what is a router's of ours.
func (s *sweep) isMark(protocol uint8) bool {
	return slices.ContainsFunc(s.Routers, func(r topology.Linux) bool { return r.Protocol == protocol })
}

// tables empties our routing tables, and removes the routes of VIPs or counts
// them.
func (s *sweep) tables() error {
	var failed []error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all, err := s.kernel.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			failed = append(failed, fmt.Errorf("read routes: %w", err))
			continue
		}
		slices.SortStableFunc(all, func(a, b netlink.Route) int { return cmp.Compare(a.Table, b.Table) })
		for _, route := range all {
			switch {
			case s.ownsRoute(route), s.isVIP(route) && s.Routes:
				failed = append(failed, s.remove("route", words(family, route), func() error { return s.kernel.RouteDel(key(route)) }))
			case s.isVIP(route):
				s.report.Routes++
			}
		}
	}
	return errors.Join(failed...)
}

// ownsRoute reports whether a route is in a table of checks or of moves under way.
func (s *sweep) ownsRoute(route netlink.Route) bool {
	protocol := uint8(route.Protocol)
	return within(route.Table, s.Paths.Table, pathCount) && protocol == pathProtocol ||
		within(route.Table, topology.FlowTable, topology.FlowPaths) && s.isMark(protocol)
}

// isVIP reports whether a route is one that a router of ours steers, or did.
func (s *sweep) isVIP(route netlink.Route) bool {
	return slices.ContainsFunc(s.Routers, func(r topology.Linux) bool {
		return r.Table == route.Table && r.Protocol == uint8(route.Protocol)
	})
}

// key is what tells a route from others. Its next hops are left out: those of one
// by a nexthop object are spelled out in a dump, and refused in a request.
func key(route netlink.Route) *netlink.Route {
	return &netlink.Route{
		Dst: route.Dst, Table: route.Table, Priority: route.Priority, Protocol: route.Protocol,
		Type: route.Type, Tos: route.Tos, Family: route.Family,
	}
}

// words describes a route.
func words(family int, route netlink.Route) string {
	kind := ""
	if route.Type == unix.RTN_UNREACHABLE {
		kind = "unreachable "
	}
	via := ""
	if route.Gw != nil {
		via = " via " + route.Gw.String()
	}
	return fmt.Sprintf("ip %s route %s%s%s table %d", flag(family), kind, route.Dst, via, route.Table)
}

// within reports whether n is one of count numbers from first.
func within(n, first, count int) bool { return n >= first && n-first < count }

func flag(family int) string {
	if family == unix.AF_INET6 {
		return "-6"
	}
	return "-4"
}
