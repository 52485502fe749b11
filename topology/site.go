// Package topology is the site an operator described: servers, VIPs, checks,
// routers and policy, read strictly from one YAML file into values that need
// no further checking.
//
// The package is pure: Parse takes bytes and gives a Site or every problem of
// the file at once, with file, line and column. Nothing here reads a clock,
// a file or the network, but for the time zone database.
package topology

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// ServerName names a server, as written in the file.
type ServerName string

// CheckName names a check, as written in the file.
type CheckName string

// RouterName names a router, as written in the file.
type RouterName string

// A Site is everything one configuration file describes. It is immutable once
// parsed: share it freely, change none of it.
type Site struct {
	File    string   // where it was read from, for messages
	Hash    string   // of the text it was read from: the first 16 hexadecimal digits of its SHA-256 sum
	Servers []Server // sorted by name
	Checks  []Check  // sorted by name; holds the built-in default check when a VIP uses it
	VIPs    []VIP    // sorted by prefix (netip.Prefix.Compare)
	Routers []Router // sorted by name
	Alive   Alive    // the echo sent to each server
	Policy  Policy   // the site's judgement
	Paths   Paths    // how checks reach a chosen server through a VIP

	Maintenance []Maintenance // in the order of the file
	Notify      []Notifier    // in the order of the file

	Web Web // what is offered by HTTP
}

// A Server is a web server that carries VIPs on loopback.
type Server struct {
	Name      ServerName
	Addresses []netip.Addr // in order of preference; usable as a router's next hop
	Weight    int          // share of the load, 0 to 256; default 1; 0 for no new traffic
	ViaInet6  bool         // IPv4 VIPs are sent to its IPv6 addresses (RFC 8950); it has no IPv4 address. Default false
}

// A VIP is a prefix that routers send to servers, and the addresses of it
// that servers carry on loopback.
type VIP struct {
	Name      string       // optional, for people; "" when the file gives none
	Prefix    netip.Prefix // masked; unique and disjoint within the site
	Addresses []netip.Addr // in the prefixes of its entry: what checks talk to; never empty. Default: the first host address of the first prefix of its entry
	Check     CheckName
	Tiers     []Tier // in order of preference; never empty, no empty tier, no server twice
	Mode      Mode
	Failback  Failback  // the VIP's own, or the site's
	OnAllDown OnAllDown // the VIP's own, or the site's

	Weights  map[ServerName]int // the VIP's own, of servers of its tiers; nil for none. 0 for no new traffic
	Disabled []ServerName       // servers that are never to carry it: in no tier. Sorted

	// BGP is what its routes carry when they are announced by BGP, in place of what
	// the router says; nil for nothing.
	BGP *OwnAttributes

	// Entry is the lowest prefix of those that the file lists in one entry, whose
	// VIPs differ in Prefix alone; Prefix itself for an entry of one.
	Entry netip.Prefix
	// Judge is the prefix under which the verdicts of the VIP's servers are kept:
	// the lowest of the VIPs whose checks ask exactly the same of a server. Those are
	// of one entry, or have the same check through the servers' own addresses.
	Judge netip.Prefix
}

// A Tier is a set of servers of equal rank.
type Tier struct {
	Name    string       // "primary", "backup", "backup2", "backup3"
	Servers []ServerName // sorted
}

// Mode says how many servers of a tier get a VIP's traffic.
type Mode string

const (
	Single Mode = "single" // one server; the default
	ECMP   Mode = "ecmp"   // all eligible servers of the tier, by weight
)

// OnAllDown says what becomes of a route when no server is eligible.
type OnAllDown string

const (
	Keep     OnAllDown = "keep"     // leave the route where it is; the default
	Withdraw OnAllDown = "withdraw" // remove it

	FirstTier OnAllDown = "first_tier" // to the first tier, as if its servers were well
)

// A Failback says when traffic returns to a server of a better tier, or to
// its home within a tier.
type Failback struct {
	Mode  FailbackMode
	After time.Duration // continuous health needed, with FailbackAfter; default 60s

	Between Daily // when traffic may return, with FailbackAfter; default always
}

// FailbackMode is the kind of a Failback.
type FailbackMode string

const (
	FailbackAfter     FailbackMode = "after"     // once healthy for Failback.After; the default
	FailbackImmediate FailbackMode = "immediate" // as soon as healthy
	FailbackManual    FailbackMode = "manual"    // when an operator asks
	FailbackNever     FailbackMode = "never"     // only when the present server is lost
)

// Alive is the echo sent to every server address, whatever it serves. Fall
// echoes without a reply bring down all verdicts of a server that had
// answered before.
type Alive struct {
	Off      bool
	Interval time.Duration // default 200ms
	Fall     int           // default 3
}

// Policy is the site's judgement.
type Policy struct {
	Failback       Failback
	OnAllDown      OnAllDown
	MaxUnavailable Share // more servers drained or down than this freezes failure-driven moves; zero value: no limit
	Drain          Drain
	Correlated     Correlated
	Witness        []netip.Addr  // failure-driven moves wait until one of them has answered an echo; none by default
	DrainReminder  time.Duration // a drain that is older is reminded of; 0 for never; default 24h
}

// Correlated says what becomes of failures of most servers of most VIPs, three of
// a VIP at least, within one fall period.
type Correlated string

const (
	Freeze Correlated = "freeze" // traffic stays where it is until an operator says otherwise; the default
	Act    Correlated = "act"    // as with any others
)

// Drain is how connections are treated that exist when traffic moves away
// from a server that is not at fault: in a drain, an undrain, a failback.
// Routers whose driver can keep them do so.
type Drain struct {
	Timeout time.Duration // how long they may stay where they are; default 10m
	Idle    time.Duration // one that has been silent so long counts as ended; default 1m, at most Timeout
	UDP     UDPDrain      // default new
}

// UDPDrain says what UDP does when traffic moves: nothing in it says which
// packet is the first of a flow.
type UDPDrain string

const (
	UDPNew    UDPDrain = "new"    // follows the route at once
	UDPSticky UDPDrain = "sticky" // what speaks within 5 s of the move stays until it is silent for 2 min
)

// A Share is a number of servers, absolute or in per cent of all.
type Share struct {
	Count   int // used when Percent is 0
	Percent int // 1 to 100
}

// Paths are the numbers that routesteer may use on the machine it runs on to
// force a check's packets to one server: a firewall mark, a policy rule and a
// routing table for each server address.
type Paths struct {
	Mark     uint32 // mark of the first server address, the others follow; default 0x52530000
	Table    int    // table of the first server address, the others follow; default 52000
	Priority int    // of the policy rules; default 5200
}

// Numbers that routesteer uses on a Linux router while a planned move is under
// way: as many of marks and tables as FlowPaths, and of policy rule priorities as
// FlowRules. Paths and routers must keep off them.
const (
	FlowMark     = 0x5253f000
	FlowTable    = 51000
	FlowPriority = 5099
	FlowRules    = 3
	FlowPaths    = 1000
)

// A Router is a device whose routes are ours to steer, through one driver.
// Exactly one of the driver fields is set.
type Router struct {
	Name  RouterName
	Linux *Linux
	Cisco *Cisco
	BGP   *BGP

	ChangeLimit ChangeLimit // of failures
}

// A ChangeLimit is how many prefixes failures may move on a router within a time.
// The zero ChangeLimit is no limit.
type ChangeLimit struct {
	Changes int
	Per     time.Duration
}

// Driver names the router's driver, as the file does.
func (r Router) Driver() string {
	switch {
	case r.Cisco != nil:
		return "cisco"
	case r.BGP != nil:
		return "bgp"
	default:
		return "linux"
	}
}

// Adopt reports whether foreign routes for our VIPs are taken over.
func (r Router) Adopt() bool {
	return r.Linux != nil && r.Linux.Adopt || r.Cisco != nil && r.Cisco.Adopt
}

// Weighs reports whether the router can share a route's flows by weight.
func (r Router) Weighs() bool { return r.Linux != nil }

// Poll is how often the router is looked at though nothing was heard of it.
func (r Router) Poll() time.Duration {
	if r.Cisco != nil {
		return r.Cisco.Poll
	}
	return 10 * time.Second
}

// Patience is how long one pass over the router, to look, act and look again,
// may take.
func (r Router) Patience() time.Duration {
	if r.Cisco != nil {
		return 10 * r.Cisco.Timeout
	}
	return 30 * time.Second
}

// Linux is the kernel of the machine (and network namespace) routesteer runs
// in.
type Linux struct {
	Table    int   // routing table; default 254 (main)
	Metric   int   // route metric (priority); default 0 for IPv4, which the kernel turns into 1024 for IPv6
	Protocol uint8 // route protocol number that marks our routes; default 82
	Adopt    bool  // take over foreign routes for our VIPs; default false

	// FlowLimit is the most connections, for each IP version, that a planned move
	// can tell apart, in some 200 bytes of kernel memory each; default 262144.
	// With 0 planned moves cut connections.
	FlowLimit int

	// Resilient keeps connections of ecmp VIPs at their server when another is
	// lost or returns, by resilient nexthop groups; default false.
	Resilient bool
}

// Server returns the server of that name.
func (s *Site) Server(name ServerName) (Server, bool) {
	return find(s.Servers, func(server Server) int { return cmp.Compare(server.Name, name) })
}

// VIP returns the VIP with that prefix.
func (s *Site) VIP(prefix netip.Prefix) (VIP, bool) {
	return find(s.VIPs, func(vip VIP) int { return vip.Prefix.Compare(prefix) })
}

// Check returns the check of that name.
func (s *Site) Check(name CheckName) (Check, bool) {
	return find(s.Checks, func(check Check) int { return cmp.Compare(check.Name, name) })
}

// Router returns the router of that name.
func (s *Site) Router(name RouterName) (Router, bool) {
	return find(s.Routers, func(router Router) int { return cmp.Compare(router.Name, name) })
}

func find[T any](sorted []T, compare func(T) int) (T, bool) {
	i, found := slices.BinarySearchFunc(sorted, struct{}{}, func(t T, _ struct{}) int { return compare(t) })
	if !found {
		var none T
		return none, false
	}
	return sorted[i], true
}

// FallPeriod is the longest time that any check of the site takes from the first
// failure to the verdict; a second at least.
func (s *Site) FallPeriod() time.Duration {
	longest := time.Second
	for _, check := range s.Checks {
		longest = max(longest, check.Interval+time.Duration(check.Fall)*max(check.FastInterval, check.Timeout))
	}
	return longest
}

// WeightOf is the server's share of the VIP's load: the VIP's own word, or the
// server's.
func (v VIP) WeightOf(server Server) int {
	if weight, given := v.Weights[server.Name]; given {
		return weight
	}
	return server.Weight
}

// AddressesFor returns the server's addresses that a VIP's address can be sent
// to, in order of preference: those of the same family or, with ViaInet6, all. Nobody changes them.
func (s Server) AddressesFor(vip netip.Addr) []netip.Addr {
	if !slices.ContainsFunc(s.Addresses, func(a netip.Addr) bool { return !s.TakesAt(vip, a) }) {
		return s.Addresses
	}
	var able []netip.Addr
	for _, a := range s.Addresses {
		if s.TakesAt(vip, a) {
			able = append(able, a)
		}
	}
	return able
}

// TakesAt reports whether a VIP's address can be sent to that address of the
// server.
func (s Server) TakesAt(vip, address netip.Addr) bool {
	return vip.Is4() == address.Is4() || s.ViaInet6 && vip.Is4()
}

// Servers returns the VIP's servers, tier by tier.
func (v VIP) Servers() []ServerName {
	var all []ServerName
	for _, tier := range v.Tiers {
		all = append(all, tier.Servers...)
	}
	return all
}
