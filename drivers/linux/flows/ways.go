package flows

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Numbers of ours in the kernel. A way's index is added to the mark and the
// table.
const (
	firstMark     = topology.FlowMark
	firstTable    = topology.FlowTable
	guardPriority = topology.FlowPriority
	rulePriority  = guardPriority + 1
	pastPriority  = guardPriority + 2
	maxWays       = topology.FlowPaths
)

// A way leads marked packets to next hops: a policy rule for the mark, and a
// table with one route. Packets of a way whose route has gone, because a link
// is down, follow the prefix's own route.
//
// A guard before the rule leads look-ups past it that are not for a packet's
// way but for the way back to its client: those of nftables' fib with a mark,
// which firewalld drops packets by. The kernel makes them as if for a packet of
// its own, from lo. They would find that clients are behind the servers. For
// those of rp_filter see checkReverse.
type way struct {
	index  int
	family int // AF_INET, AF_INET6: of the packets
	hops   []steer.NextHop
}

func (w way) mark() uint32 { return firstMark + uint32(w.index) }
func (w way) table() int   { return firstTable + w.index }

// ways are those that the kernel has; one for the same next hops and family.
type ways struct {
	nl       *netlink.Handle
	protocol uint8
	all      map[int]way // by index
}

func newWays(nl *netlink.Handle, protocol uint8) *ways {
	return &ways{nl: nl, protocol: protocol, all: map[int]way{}}
}

// load reads the ways that the kernel has.
func (w *ways) load() error {
	w.all = map[int]way{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := w.rules(family)
		if err != nil {
			return err
		}
		routes, err := w.routes(family)
		if err != nil {
			return err
		}
		for _, rule := range rules {
			w.all[rule.Table-firstTable] = way{index: rule.Table - firstTable, family: family, hops: routes[rule.Table]}
		}
	}
	return nil
}

// rules are the policy rules that lead to ways.
func (w *ways) rules(family int) ([]netlink.Rule, error) {
	all, err := w.ours(family)
	return slices.DeleteFunc(all, func(rule netlink.Rule) bool {
		index := rule.Table - firstTable
		return rule.Priority != rulePriority || index < 0 || index >= maxWays || rule.Mark != firstMark+uint32(index)
	}), err
}

// ours are all policy rules of ours.
func (w *ways) ours(family int) ([]netlink.Rule, error) {
	all, err := w.nl.RuleList(family)
	if err != nil {
		return nil, fmt.Errorf("read policy rules: %w", err)
	}
	return slices.DeleteFunc(all, func(rule netlink.Rule) bool {
		return rule.Protocol != w.protocol || rule.Priority < guardPriority || rule.Priority > pastPriority
	}), nil
}

// routes are the next hops that the kernel has for ways, by table; those whose
// route has gone are missing. The kernel lists all its routes for it, so it is
// asked once for all ways.
func (w *ways) routes(family int) (map[int][]steer.NextHop, error) {
	all := map[int][]steer.NextHop{}
	everywhere := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	err := w.nl.RouteListFilteredIter(family, everywhere, netlink.RT_FILTER_TABLE, func(route netlink.Route) bool {
		ours := route.Table >= firstTable && route.Table < firstTable+maxWays
		if hops := hopsOf(route); ours && len(hops) > 0 {
			all[route.Table] = hops
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read routing tables: %w", err)
	}
	return all, nil
}

func hopsOf(route netlink.Route) []steer.NextHop {
	infos := route.MultiPath
	if len(infos) == 0 {
		infos = []*netlink.NexthopInfo{{Gw: route.Gw, Via: route.Via}}
	}
	var hops []steer.NextHop
	for _, info := range infos {
		address, ok := netip.AddrFromSlice(info.Gw)
		if via, is := info.Via.(*netlink.Via); is {
			address, ok = netip.AddrFromSlice(via.Addr)
		}
		if ok {
			hops = append(hops, steer.NextHop{Address: address.Unmap(), Weight: info.Hops + 1})
		}
	}
	steer.SortNextHops(hops)
	return hops
}

// to returns the mark that leads the prefix's packets to the next hops, and
// makes the way if it is not known. One that is known is taken to be there; see
// mend and renew.
func (w *ways) to(prefix netip.Prefix, hops []steer.NextHop) (uint32, error) {
	family := unix.AF_INET
	if prefix.Addr().Is6() {
		family = unix.AF_INET6
	}
	if len(hops) == 1 { // weight means nothing then, and reads back as 1
		hops = []steer.NextHop{{Address: hops[0].Address, Weight: 1}}
	}
	for _, known := range w.all {
		if known.family == family && slices.Equal(known.hops, hops) {
			return known.mark(), nil
		}
	}
	for index := range maxWays {
		if _, taken := w.all[index]; !taken {
			made := way{index: index, family: family, hops: hops}
			w.all[index] = made
			err := w.make(made)
			if err == nil {
				err = w.prove(made, prefix.Addr())
			}
			if err == nil {
				err = w.guard(made)
			}
			if err != nil {
				return 0, errors.Join(err, w.remove(made))
			}
			return made.mark(), nil
		}
	}
	return 0, fmt.Errorf("moves to more than %d different sets of next hops are under way", maxWays)
}

// mend makes again what has gone: routes with a link, rules by somebody's
// hand. What cannot be, as while the link is away, it tries the next time: other
// ways do not depend on it.
func (w *ways) mend() error {
	if len(w.all) == 0 {
		return nil
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := w.ours(family)
		if err != nil {
			return err
		}
		routes, err := w.routes(family)
		if err != nil {
			return err
		}
		have := map[uint32]int{} // a rule and a guard for each mark, and one where guards lead, without
		for _, rule := range rules {
			have[rule.Mark]++
		}
		for _, known := range w.sorted() {
			whole := have[known.mark()] == 2 && have[0] == 1 && slices.Equal(routes[known.table()], known.hops)
			if known.family == family && !whole {
				_ = w.renew(known.mark())
			}
		}
	}
	return nil
}

// sorted are all ways by index.
func (w *ways) sorted() []way {
	return slices.SortedFunc(maps.Values(w.all), func(a, b way) int { return a.index - b.index })
}

// renew makes the way of a mark again, whatever is there of it.
func (w *ways) renew(mark uint32) error {
	known := w.all[int(mark-firstMark)]
	return errors.Join(w.make(known), w.guard(known))
}

// make brings a way into the kernel, its route before its rule. A table that
// somebody else uses is not touched.
func (w *ways) make(a way) error {
	if err := w.route(a); err != nil {
		return err
	}
	return w.add(w.rule(a))
}

// guard brings a way's guard into the kernel. Proof comes before it, as the
// kernel's answer to a question is from lo, too.
func (w *ways) guard(a way) error {
	past := netlink.NewRule()
	past.Family, past.Priority, past.Type, past.Protocol = a.family, pastPriority, nl.FR_ACT_NOP, w.protocol
	return errors.Join(w.add(past), w.add(w.guardRule(a)))
}

func (w *ways) add(rule *netlink.Rule) error {
	if err := w.nl.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add the policy rule %d for mark %#x: %w", rule.Priority, rule.Mark, err)
	}
	return nil
}

func (w *ways) guardRule(a way) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Mark, rule.Protocol = a.family, guardPriority, a.mark(), w.protocol
	rule.IifName, rule.Goto = "lo", pastPriority
	return rule
}

func (w *ways) rule(a way) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Table = a.family, rulePriority, a.table()
	rule.Mark, rule.Protocol = a.mark(), w.protocol
	return rule
}

// prove asks the kernel whether packets with the way's mark take it: somebody
// else's policy rule may come before ours.
func (w *ways) prove(a way, to netip.Addr) error {
	routes, err := w.nl.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{Mark: a.mark()})
	switch {
	case err != nil:
		return fmt.Errorf("look up where packets with mark %#x go: %w", a.mark(), err)
	case len(routes) != 1 || routes[0].Table != a.table():
		return fmt.Errorf("the kernel does not send packets with mark %#x by table %d: another policy rule comes before rule %d, see ip rule",
			a.mark(), a.table(), rulePriority)
	default:
		return nil
	}
}

func (w *ways) route(a way) error {
	route := &netlink.Route{Family: a.family, Table: a.table(), Protocol: netlink.RouteProtocol(w.protocol), Dst: everything(a.family)}
	for _, hop := range a.hops {
		info := &netlink.NexthopInfo{Hops: hop.Weight - 1, Gw: hop.Address.AsSlice()}
		if hop.Address.Is6() && a.family == unix.AF_INET {
			info.Gw, info.Via = nil, &netlink.Via{AddrFamily: unix.AF_INET6, Addr: hop.Address.AsSlice()}
		}
		route.MultiPath = append(route.MultiPath, info)
	}
	if len(a.hops) == 1 {
		route.Gw, route.MultiPath = route.MultiPath[0].Gw, nil
		if a.hops[0].Address.Is6() && a.family == unix.AF_INET {
			route.Via = &netlink.Via{AddrFamily: unix.AF_INET6, Addr: a.hops[0].Address.AsSlice()}
		}
	}
	if err := w.nl.RouteReplace(route); err != nil {
		return fmt.Errorf("make the route via %s in table %d: %w", steer.FormatNextHops(a.hops), a.table(), err)
	}
	return nil
}

// hops returns the next hops that a mark leads to.
func (w *ways) hops(mark uint32) []steer.NextHop { return w.all[int(mark-firstMark)].hops }

// drop removes all ways, rules first.
func (w *ways) drop() error {
	var failed []error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := w.ours(family)
		failed = append(failed, err)
		for _, rule := range rules {
			rule.Family = family
			failed = append(failed, w.dropRule(&rule))
		}
	}
	for _, a := range w.all {
		failed = append(failed, w.dropRoute(a))
	}
	w.all = map[int]way{}
	return errors.Join(failed...)
}

// remove removes one way that nothing uses.
func (w *ways) remove(a way) error {
	delete(w.all, a.index)
	return errors.Join(w.dropRule(w.guardRule(a)), w.dropRule(w.rule(a)), w.dropRoute(a))
}

func (w *ways) dropRule(rule *netlink.Rule) error {
	if err := w.nl.RuleDel(rule); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the policy rule %d for mark %#x: %w", rule.Priority, rule.Mark, err)
	}
	return nil
}

func (w *ways) dropRoute(a way) error {
	route := &netlink.Route{Family: a.family, Table: a.table(), Protocol: netlink.RouteProtocol(w.protocol), Dst: everything(a.family)}
	if err := w.nl.RouteDel(route); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("remove the route of table %d: %w", a.table(), err)
	}
	return nil
}

// everything is the default route's destination.
func everything(family int) *net.IPNet {
	if family == unix.AF_INET {
		return &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	}
	return &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
}
