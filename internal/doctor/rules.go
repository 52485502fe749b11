package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/topology"
)

// A Rule is a policy rule of the kernel; see ip-rule(8).
type Rule struct {
	V4       bool
	Priority int
	From, To netip.Prefix // the zero Prefix for all
	In, Out  string       // interfaces; "" for any
	Mark     uint32       // compared under Mask; a Mask of 0 compares none
	Mask     uint32
	Not      bool // what is said above must not be so
	Action   Action
	Table    int // of Lookup
	Longer   int // only routes of at least so many bits count; see suppress_prefixlength
	Protocol uint8
}

// An Action is what becomes of a packet that a rule is about.
type Action string

const (
	Lookup Action = "lookup" // in a table
	Drop   Action = "drop"   // blackhole, unreachable or prohibit
	Pass   Action = "pass"   // all else: no decision
)

// Tables that every kernel has.
const (
	tableLocal = 255
	tableMain  = 254
)

// pathProtocol marks the rules and tables of checks (health/probe).
const pathProtocol = 82

// String is the rule in the words of ip(8), as far as they tell it from others.
func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "priority %d", r.Priority)
	if r.Not {
		b.WriteString(" not")
	}
	for _, part := range []struct {
		word string
		of   netip.Prefix
	}{{"from", r.From}, {"to", r.To}} {
		if part.of.IsValid() {
			fmt.Fprintf(&b, " %s %s", part.word, part.of)
		}
	}
	for _, part := range []struct{ word, of string }{{"iif", r.In}, {"oif", r.Out}} {
		if part.of != "" {
			fmt.Fprintf(&b, " %s %s", part.word, part.of)
		}
	}
	if r.Mask != 0 {
		fmt.Fprintf(&b, " fwmark %#x/%#x", r.Mark, r.Mask)
	}
	if r.Action == Lookup {
		fmt.Fprintf(&b, " lookup %d", r.Table)
	}
	return b.String()
}

// delete is the command that removes the rule.
func (r Rule) delete() string { return "ip " + flag(r.V4) + " rule del " + r.String() }

func flag(v4 bool) string {
	if v4 {
		return "-4"
	}
	return "-6"
}

// ours reports whether the rule is of checks, or of moves under way.
func (r Rule) ours(site *topology.Site) bool {
	switch {
	case within(r.Priority, site.Paths.Priority, pathsOf(site)):
		return r.Protocol == pathProtocol
	case within(r.Priority, topology.FlowPriority, topology.FlowRules):
		return isMark(site, r.Protocol)
	default:
		return false
	}
}

// isMark reports whether a protocol number marks the routes of a router of ours.
func isMark(site *topology.Site, protocol uint8) bool {
	return slices.ContainsFunc(site.Routers, func(r topology.Router) bool { return r.Linux != nil && r.Linux.Protocol == protocol })
}

// pathsOf is how many marks, tables and priorities checks use.
func pathsOf(site *topology.Site) (n int) {
	for _, server := range site.Servers {
		n += len(server.Addresses)
	}
	return n
}

// within reports whether n is one of count numbers from first.
func within(n, first, count int) bool { return n >= first && n-first < count }

// policyRules finds rules that keep the VIPs' packets from the routers' tables.
func policyRules(site *topology.Site, s Snapshot) Check {
	c := Check{Name: "policy rules", OK: true}
	var what, mend []string
	for _, rule := range s.Rules {
		caught := s.caughtBy(site, rule)
		if len(caught) == 0 {
			continue
		}
		what = append(what, fmt.Sprintf("the %s rule %q catches packets for %s", family(rule.V4), rule, several(caught)))
		mend = append(mend, release(rule, caught)...)
	}
	if what == nil {
		return c
	}
	return Check{
		Name: c.Name, What: strings.Join(what, "; "), Mend: strings.Join(mend, "; "),
		Why: "it comes before the routes that routesteer makes, so those packets go where it leads, whatever happens to the servers",
	}
}

// mostThrows is how many routes a mend adds at most.
const mostThrows = 16

// release lets packets for VIPs pass a rule: a throw route ends the look into its
// table, and the next rules are tried.
func release(rule Rule, vips []netip.Prefix) []string {
	if rule.Action != Lookup || len(vips) > mostThrows {
		return []string{rule.delete()}
	}
	var commands []string
	for _, vip := range vips {
		commands = append(commands, fmt.Sprintf("ip %s route replace throw %s table %d", flag(rule.V4), vip, rule.Table))
	}
	return commands
}

// caughtBy are the VIPs for which packets, some at least, end with a rule that is
// tried before a router's table.
func (s Snapshot) caughtBy(site *topology.Site, rule Rule) []netip.Prefix {
	if rule.ours(site) || rule.Mask != 0 && !rule.Not || rule.Action == Pass || !s.comesFirst(site, rule) {
		return nil
	}
	var caught []netip.Prefix
	for _, vip := range site.VIPs {
		if vip.Prefix.Addr().Is4() == rule.V4 && rule.isAbout(vip.Prefix) && (rule.Action == Drop || s.leads(rule, vip.Prefix)) {
			caught = append(caught, vip.Prefix)
		}
	}
	return caught
}

// comesFirst reports whether a rule is tried before one that leads to a router's
// table, and does not lead there itself.
func (s Snapshot) comesFirst(site *topology.Site, rule Rule) bool {
	if rule.Action == Lookup && rule.Table == tableLocal {
		return false
	}
	first := false
	for _, router := range site.Routers {
		if router.Linux == nil {
			continue
		}
		if rule.Action == Lookup && rule.Table == router.Linux.Table {
			return false
		}
		first = first || s.position(rule.V4, router.Linux.Table) > rule.Priority
	}
	return first
}

// position is the priority of the first rule that leads to a table.
func (s Snapshot) position(v4 bool, table int) int {
	position := -1
	for _, rule := range s.Rules {
		if rule.V4 == v4 && rule.Action == Lookup && rule.Table == table && (position < 0 || rule.Priority < position) {
			position = rule.Priority
		}
	}
	return position
}

// isAbout reports whether a rule may be about packets for a VIP.
func (r Rule) isAbout(vip netip.Prefix) bool {
	return r.Not || !r.To.IsValid() || r.To.Overlaps(vip)
}

// leads reports whether a rule's table has a route for a VIP, or a part of it.
func (s Snapshot) leads(rule Rule, vip netip.Prefix) bool {
	var best Route // that for the VIP as a whole
	for _, route := range s.Routes {
		if route.Table != rule.Table || !route.Prefix.Overlaps(vip) || route.Prefix.Bits() < rule.Longer {
			continue
		}
		if route.Prefix.Bits() > vip.Bits() {
			if !route.Throw {
				return true
			}
			continue
		}
		if !best.Prefix.IsValid() || route.Prefix.Bits() > best.Prefix.Bits() {
			best = route
		}
	}
	return best.Prefix.IsValid() && !best.Throw
}

// numbers finds rules and routes of others among the numbers that are kept for us.
func numbers(site *topology.Site, s Snapshot) Check {
	var what, mend []string
	for _, rule := range s.Rules {
		if words := clash(site, rule); words != "" && !rule.ours(site) {
			what = append(what, fmt.Sprintf("the %s rule %q %s", family(rule.V4), rule, words))
			mend = append(mend, rule.delete())
		}
	}
	for _, route := range s.Routes {
		if route.inOurTables(site) {
			what = append(what, fmt.Sprintf("table %d, which is kept for us, has a route for %s that is not ours", route.Table, route.Prefix))
			mend = append(mend, route.delete())
		}
	}
	if what == nil {
		return Check{Name: "marks, rules and tables", OK: true}
	}
	return Check{
		Name: "marks, rules and tables", What: strings.Join(what, "; "), Mend: strings.Join(mend, "; "),
		Why: "checks would ask the wrong server, and planned moves cut connections; if the other program needs those numbers, give routesteer others " +
			"under paths in the file",
	}
}

// clash says by which of our numbers a rule of others is in our way.
func clash(site *topology.Site, r Rule) string {
	paths := pathsOf(site)
	switch {
	case r.Action == Lookup && (within(r.Table, site.Paths.Table, paths) || within(r.Table, topology.FlowTable, topology.FlowPaths)):
		return "leads to a table that is kept for us"
	case within(r.Priority, site.Paths.Priority, paths), within(r.Priority, topology.FlowPriority, topology.FlowRules):
		return "has a priority that is kept for us"
	case r.Action != Pass && r.takes(site.Paths.Mark, paths) && r.Priority < site.Paths.Priority:
		return "takes the marks of checks"
	case r.Action != Pass && r.takes(topology.FlowMark, topology.FlowPaths) && r.Priority < topology.FlowPriority:
		return "takes the marks of planned moves"
	default:
		return ""
	}
}

// takes reports whether the rule names marks and is about one of count marks from
// first.
func (r Rule) takes(first uint32, count int) bool {
	if r.Mask == 0 {
		return false
	}
	for i := range count {
		if ((first+uint32(i))^r.Mark)&r.Mask == 0 != r.Not {
			return true
		}
	}
	return false
}

// several names prefixes: the first, and how many more.
func several(prefixes []netip.Prefix) string {
	if len(prefixes) == 1 {
		return prefixes[0].String()
	}
	return fmt.Sprintf("%s and %d more", prefixes[0], len(prefixes)-1)
}

func family(v4 bool) string {
	if v4 {
		return "IPv4"
	}
	return "IPv6"
}
