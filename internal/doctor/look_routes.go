package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/topology"
)

// readRules reads the kernel's policy rules, in the order in which they are tried.
// netlink.RuleList does not tell what becomes of the packets.
func (s *Snapshot) readRules() error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		request := nl.NewNetlinkRequest(unix.RTM_GETRULE, unix.NLM_F_DUMP)
		request.AddData(nl.NewIfInfomsg(family))
		answers, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWRULE)
		if err != nil {
			return fmt.Errorf("read policy rules: %w", err)
		}
		for _, answer := range answers {
			rule, err := parseRule(answer)
			if err != nil {
				return err
			}
			s.Rules = append(s.Rules, rule)
		}
	}
	return nil
}

// parseRule parses a struct fib_rule_hdr and its attributes; see
// linux/fib_rules.h.
func parseRule(message []byte) (Rule, error) {
	if len(message) < unix.SizeofRtMsg { // of the same size and shape
		return Rule{}, fmt.Errorf("read policy rules: the kernel's answer is %d bytes short", unix.SizeofRtMsg-len(message))
	}
	head := nl.DeserializeRtMsg(message)
	rule := Rule{V4: head.Family == unix.AF_INET, Action: Pass, Table: int(head.Table), Not: head.Flags&netlink.FibRuleInvert != 0}
	switch head.Type { // the rule's action
	case nl.FR_ACT_TO_TBL:
		rule.Action = Lookup
	case nl.FR_ACT_BLACKHOLE, nl.FR_ACT_UNREACHABLE, nl.FR_ACT_PROHIBIT:
		rule.Action = Drop
	}
	attributes, err := nl.ParseRouteAttr(message[unix.SizeofRtMsg:])
	if err != nil {
		return Rule{}, fmt.Errorf("read policy rules: %w", err)
	}
	for _, a := range attributes {
		rule.set(a, head)
	}
	return rule, nil
}

// set takes in one attribute of a rule.
func (r *Rule) set(a syscall.NetlinkRouteAttr, head *nl.RtMsg) {
	number := func() uint32 {
		if len(a.Value) < 4 {
			return 0
		}
		return nl.NativeEndian().Uint32(a.Value)
	}
	prefix := func(bits uint8) netip.Prefix {
		address, _ := netip.AddrFromSlice(a.Value)
		return netip.PrefixFrom(address, int(bits))
	}
	switch a.Attr.Type {
	case nl.FRA_SRC:
		r.From = prefix(head.Src_len)
	case nl.FRA_DST:
		r.To = prefix(head.Dst_len)
	case nl.FRA_IIFNAME:
		r.In = unix.ByteSliceToString(a.Value)
	case nl.FRA_OIFNAME:
		r.Out = unix.ByteSliceToString(a.Value)
	case nl.FRA_PRIORITY:
		r.Priority = int(number())
	case nl.FRA_FWMARK:
		r.Mark = number()
	case nl.FRA_FWMASK:
		r.Mask = number()
	case nl.FRA_SUPPRESS_PREFIXLEN:
		r.Longer = int(int32(number())) + 1 // -1 for none
	case nl.FRA_TABLE:
		r.Table = int(number())
	case nl.FRA_PROTOCOL:
		if len(a.Value) > 0 {
			r.Protocol = a.Value[0]
		}
	}
}

// prefixOf is the zero Prefix for all.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	address, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(address.Unmap(), bits)
}

// readRoutes reads the kernel's routes that matter: for VIPs, wholly or in part,
// or in tables that are kept for us.
func (s *Snapshot) readRoutes(site *topology.Site, kernel *netlink.Handle) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
		err := kernel.RouteListFilteredIter(family, all, netlink.RT_FILTER_TABLE, func(route netlink.Route) bool {
			if r := routeOf(route); r.Table != tableLocal && (overlapsVIP(site, r.Prefix) || r.inOurTables(site)) {
				s.Routes = append(s.Routes, r)
			}
			return true
		})
		if err != nil {
			return fmt.Errorf("read routes: %w", err)
		}
	}
	return nil
}

func routeOf(r netlink.Route) Route {
	return Route{Prefix: prefixOf(r.Dst), Table: r.Table, Metric: r.Priority, Protocol: uint8(r.Protocol), Throw: r.Type == unix.RTN_THROW}
}

// overlapsVIP reports whether a prefix is a part of a VIP, or the other way round.
func overlapsVIP(site *topology.Site, prefix netip.Prefix) bool {
	if _, part := covering(site, prefix); part {
		return true
	}
	at, _ := slices.BinarySearchFunc(site.VIPs, prefix, func(vip topology.VIP, p netip.Prefix) int { return vip.Prefix.Compare(p) })
	for _, vip := range site.VIPs[min(max(at-1, 0), len(site.VIPs)):min(at+1, len(site.VIPs))] {
		if vip.Prefix.Overlaps(prefix) {
			return true
		}
	}
	return false
}
