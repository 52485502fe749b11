package probe

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/topology"
)

const (
	protocol    = 82  // marks rules and routes as ours, as rtm_protocol and FRA_PROTOCOL
	pathMetric  = 100 // of the route to the server
	blockMetric = 200 // of the unreachable route behind it
)

// A kernel writes and reads policy rules and routing tables of one network
// namespace. One goroutine uses it at a time.
type kernel struct {
	rules *netlink.Handle
	// routes asks the kernel to filter dumps by table (strict checking): a full
	// table has a million routes. Rule dumps of netlink v1.3.1 fail under it.
	routes *netlink.Handle
}

// newKernel opens the namespace of the calling thread.
func newKernel() (*kernel, error) {
	rules, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	routes, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		rules.Close()
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	// Kernels before 4.20 do not know it and send everything: slower, no harm.
	_ = routes.SetStrictCheck(true)
	return &kernel{rules: rules, routes: routes}, nil
}

func (k *kernel) close() {
	k.rules.Close()
	k.routes.Close()
}

// claim makes sure that the numbers of the paths are ours to use. Rules and
// tables of ours that nobody needs, left by a predecessor, are removed; others'
// in our way are an error. mine are priorities that this process made.
func (k *kernel) claim(base topology.Paths, want map[lane]*path, mine map[int]bool) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := k.rules.RuleList(family)
		if err != nil {
			return fmt.Errorf("read policy rules: %w", err)
		}
		for _, rule := range rules {
			if err := k.claimRule(base, rule, wanted(want, family), mine); err != nil {
				return err
			}
		}
	}
	for _, path := range want {
		if err := k.claimTable(path); err != nil {
			return err
		}
	}
	return nil
}

// wanted are the paths of one family by priority.
func wanted(want map[lane]*path, family int) map[int]*path {
	by := map[int]*path{}
	for _, path := range want {
		if path.family() == family {
			by[path.priority] = path
		}
	}
	return by
}

func (k *kernel) claimRule(base topology.Paths, rule netlink.Rule, want map[int]*path, mine map[int]bool) error {
	if isOurs(base, rule) {
		path := want[rule.Priority]
		if mine[rule.Priority] || path != nil && same(rule, path) {
			return nil
		}
		return k.removeStale(rule)
	}
	for _, path := range want {
		if inTheWay(rule, path) {
			return fmt.Errorf("policy rule %d (fwmark %#x, lookup %d, protocol %d) is not ours and in the way of the path to %s: "+
				"remove it, or give paths in the file other numbers", rule.Priority, rule.Mark, rule.Table, rule.Protocol, path.server)
		}
	}
	return nil
}

// isOurs reports whether this or an earlier process of ours made the rule.
func isOurs(base topology.Paths, rule netlink.Rule) bool {
	i := rule.Priority - base.Priority
	return rule.Protocol == protocol && 0 <= i && i < maxPaths
}

// same reports whether the rule is the path's, so that it can be adopted.
func same(rule netlink.Rule, path *path) bool {
	return rule.Priority == path.priority && rule.Mark == path.mark && rule.Table == path.table &&
		!rule.Invert && rule.Src == nil && rule.Dst == nil && rule.IifName == "" && rule.OifName == ""
}

// inTheWay reports whether someone else's rule would take the path's packets,
// or uses a number of the path.
func inTheWay(rule netlink.Rule, path *path) bool {
	if rule.Priority == path.priority || rule.Table == path.table {
		return true
	}
	mask := uint32(0xffffffff)
	if rule.Mask != nil {
		mask = *rule.Mask
	}
	return rule.Mark != 0 && rule.Mark == path.mark&mask && !rule.Invert && rule.Priority < path.priority
}

// removeStale removes a rule that a predecessor left, and its table.
func (k *kernel) removeStale(rule netlink.Rule) error {
	if err := k.rules.RuleDel(&rule); err != nil && !isGone(err) {
		return fmt.Errorf("remove policy rule %d, which a predecessor left: %w", rule.Priority, err)
	}
	return k.flush(rule.Family, rule.Table)
}

// claimTable refuses a table that holds routes of someone else.
func (k *kernel) claimTable(path *path) error {
	routes, err := k.table(path.family(), path.table)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if route.Protocol != protocol {
			return fmt.Errorf("routing table %d holds %s, which is not ours (protocol %s), in the way of the path to %s: "+
				"give paths in the file another table", path.table, route.Dst, route.Protocol, path.server)
		}
	}
	return nil
}

// table lists the routes of a table; one that does not exist is empty.
func (k *kernel) table(family, table int) ([]netlink.Route, error) {
	routes, err := k.routes.RouteListFiltered(family, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("read routing table %d: %w", table, err)
	}
	return routes, nil
}

// block puts the route behind the path: packets that have lost their way must
// not fall through to table main.
func (k *kernel) block(path *path) error {
	return k.routes.RouteReplace(&netlink.Route{
		Dst: path.everything(), Table: path.table, Priority: blockMetric, Protocol: protocol, Type: unix.RTN_UNREACHABLE,
	})
}

// route puts the route to the server; the kernel finds the link.
func (k *kernel) route(path *path) error {
	route := &netlink.Route{
		Dst: path.everything(), LinkIndex: int(zone(path.address)),
		Table: path.table, Priority: pathMetric, Protocol: protocol,
	}
	if path.v4 == path.address.Is4() {
		route.Gw = path.address.AsSlice()
	} else {
		route.Via = &netlink.Via{AddrFamily: unix.AF_INET6, Addr: path.address.AsSlice()}
	}
	return k.routes.RouteReplace(route)
}

// rule sends marked packets to the path's table.
func (k *kernel) rule(path *path) error {
	if err := k.rules.RuleAdd(path.rule()); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func (p *path) rule() *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Table, rule.Mark, rule.Protocol = p.family(), p.priority, p.table, p.mark, protocol
	return rule
}

func (k *kernel) dropRule(path *path) error {
	if err := k.rules.RuleDel(path.rule()); err != nil && !isGone(err) {
		return fmt.Errorf("remove policy rule %d: %w", path.priority, err)
	}
	return nil
}

func (k *kernel) dropRoutes(path *path) error { return k.flush(path.family(), path.table) }

// flush removes our routes from a table.
func (k *kernel) flush(family, table int) error {
	routes, err := k.table(family, table)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if route.Protocol != protocol {
			continue
		}
		if err := k.routes.RouteDel(&route); err != nil && !isGone(err) {
			return fmt.Errorf("remove %s from routing table %d: %w", route.Dst, table, err)
		}
	}
	return nil
}

// isGone reports whether there was nothing to remove.
func isGone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) }

func (p *path) family() int {
	if p.v4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// everything is the default route's destination.
func (p *path) everything() *net.IPNet {
	if p.v4 {
		return &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	}
	return &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
}
