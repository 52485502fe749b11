package topology

import (
	"net/netip"
	"slices"
	"time"
)

// BGP is routers to which a speaker in this process announces VIPs, with the
// chosen servers as next hops. All of them are told the same.
type BGP struct {
	ASN      uint32     // of the speaker
	RouterID netip.Addr // an IPv4 address, no other speaker's of the AS (RFC 6286)
	Peers    []Peer     // at least one, sorted by address

	Attributes // of all routes, unless their VIPs have their own

	Restart Restart
	AtExit  AtExit // default AtExitKeep
	// GracefulShutdown is how long routes are announced with the community
	// GRACEFUL_SHUTDOWN (RFC 8326) before they are withdrawn; 0, the default: not at all.
	GracefulShutdown time.Duration

	ListenPort uint16 // where passive peers reach us; default 179. Without one nothing listens
}

// A Peer is one BGP session.
type Peer struct {
	Address      netip.Addr    // of the router
	ASN          uint32        // of the router; ours makes it an iBGP session
	Port         uint16        // default 179
	Password     Secret        // of TCP MD5 (RFC 2385); default none
	Multihop     int           // eBGP: the most hops to the router, 2 to 255; default 0: it is on our network
	TTLSecurity  int           // GTSM (RFC 5082): refuse packets from farther away than so many hops, 1 to 254; default 0: off
	Passive      bool          // the router connects to us; default false
	Source       netip.Addr    // our end of the session; default the kernel's choice
	HoldTime     time.Duration // until a silent router is given up; default 90s, at least 3s
	ConnectRetry time.Duration // between attempts to connect; default 5s
	IPv4, IPv6   bool          // what is announced; default both
	BFD          *BFD          // nil, the default, is off
}

// BFD finds a dead router, or a dead link to it, sooner than the hold time
// (RFC 5880, asynchronous mode, one hop).
type BFD struct {
	Interval   time.Duration // of sending and receiving; default 100ms
	Multiplier int           // packets lost in a row until the router is given up; default 3
}

// Restart is how routers treat our routes while this process is away
// (RFC 4724). The zero Restart is off.
type Restart struct {
	Time      time.Duration // they stay so long; default 2m, at most 4095s
	LongLived time.Duration // and then so long as a last resort (RFC 9494); default 0: off
}

// AtExit says what becomes of announced routes when the process ends in good
// order.
type AtExit string

const (
	AtExitKeep     AtExit = "keep"     // as when it crashes: routers keep them for Restart.Time; the default
	AtExitWithdraw AtExit = "withdraw" // they go at once
)

// Bounds of the protocol: RFC 4271 (hold time), RFC 4724 (12 bits of seconds),
// RFC 9494 (24 bits).
const (
	minHold      = 3 * time.Second
	maxHold      = 65535 * time.Second
	maxRestart   = 4095 * time.Second
	maxLongLived = (1<<24 - 1) * time.Second
	maxPrepend   = 16
	maxPeers     = 64
	maxShutdown  = time.Minute // systemd kills what takes longer than 90 s to stop
)

const asTrans = 23456 // RFC 6793

// readBGP reads the bgp driver.
func readBGP(c cursor) (*BGP, bool) {
	f, ok := c.fields(bgpObject, "a mapping with asn, router_id, peers, …")
	if !ok {
		return nil, false
	}
	bgp := defaultBGP()
	ok = needed(f, "asn", "the number of our AS", &bgp.ASN, readASN)
	ok = needed(f, "router_id", "an IPv4 address that no other speaker of the AS has", &bgp.RouterID, readRouterID) && ok
	ok = needed(f, "peers", "the routers to announce to", &bgp.Peers, readPeers) && ok
	ok = readAttributes(f, &bgp.Attributes) && ok
	ok = set(f, "graceful_restart", &bgp.Restart, readRestart) && ok
	ok = setChoice(f, "at_exit", &bgp.AtExit, AtExitKeep, AtExitWithdraw) && ok
	ok = setDuration(f, "graceful_shutdown", &bgp.GracefulShutdown, time.Second, maxShutdown) && ok
	ok = setInt(f, "listen_port", &bgp.ListenPort, 1, 65535) && ok
	return bgp, ok && bgp.agrees(f)
}

// needed is set for a key without a default.
func needed[T any](f fields, key, what string, into *T, read func(cursor) (T, bool)) bool {
	if _, given := f.get(key); !given {
		f.missing([]string{key}, "%s is missing: %s", key, what)
		return false
	}
	return set(f, key, into, read)
}

// agrees checks what no key can know alone.
func (b *BGP) agrees(f fields) bool {
	ok := true
	at, _ := f.get("peers")
	for _, p := range b.Peers {
		if p.ASN == b.ASN && p.Multihop > 0 {
			at.problem("peer %s is of our own AS %d: multihop is for eBGP, iBGP has no such limit", p.Address, b.ASN)
			ok = false
		}
	}
	if _, given := f.get("listen_port"); given && !slices.ContainsFunc(b.Peers, func(p Peer) bool { return p.Passive }) {
		f.problem("listen_port is for passive peers, and there is none")
		ok = false
	}
	if _, given := f.get("at_exit"); given && b.AtExit == AtExitKeep && b.Restart.Time == 0 {
		f.problem("at_exit: keep needs graceful_restart, which is off: routers drop our routes with the session")
		ok = false
	}
	return ok
}

// readASN reads the number of an autonomous system: RFC 6793, RFC 7300.
func readASN(c cursor) (uint32, bool) {
	n, ok := c.integer(1, maxUint32-1)
	if ok && (n == asTrans || n == 65535) {
		c.problem("AS %d is reserved (RFC 6793, RFC 7300)", n)
		return 0, false
	}
	return uint32(n), ok
}

func readRouterID(c cursor) (netip.Addr, bool) {
	addr, ok := c.host()
	if ok && !addr.Is4() {
		c.problem("router_id is written as an IPv4 address, also where there is no IPv4; found %s", addr)
		return addr, false
	}
	return addr, ok
}

// readPeers reads the list of peers.
func readPeers(c cursor) ([]Peer, bool) {
	items, ok := c.list("a list of peers, such as [{address: 192.0.2.1, asn: 65000}]")
	if !ok {
		return nil, false
	}
	if len(items) == 0 || len(items) > maxPeers {
		c.problem("expected 1 to %d peers, found %d", maxPeers, len(items))
		return nil, false
	}
	var peers []Peer
	seen := map[netip.Addr]bool{}
	for _, item := range items {
		peer, good := readPeer(item)
		if good && seen[peer.Address] {
			item.problem("peer %s is given twice", peer.Address)
			good = false
		}
		seen[peer.Address] = true
		peers, ok = append(peers, peer), ok && good
	}
	slices.SortFunc(peers, func(a, b Peer) int { return a.Address.Compare(b.Address) })
	return peers, ok
}

func readPeer(c cursor) (Peer, bool) {
	peer := defaultPeer()
	f, ok := c.fields(peerObject, "a mapping with address, asn, …")
	if !ok {
		return peer, false
	}
	ok = needed(f, "address", "that of the router", &peer.Address, cursor.host)
	ok = needed(f, "asn", "the number of the router's AS", &peer.ASN, readASN) && ok
	ok = setInt(f, "port", &peer.Port, 1, 65535) && ok
	ok = set(f, "password", &peer.Password, readSecret) && ok
	ok = setInt(f, "multihop", &peer.Multihop, 2, 255) && ok
	ok = setInt(f, "ttl_security", &peer.TTLSecurity, 1, 254) && ok
	ok = setBool(f, "passive", &peer.Passive) && ok
	ok = set(f, "source", &peer.Source, cursor.host) && ok
	ok = set(f, "hold_time", &peer.HoldTime, seconds(minHold, maxHold)) && ok
	ok = set(f, "connect_retry", &peer.ConnectRetry, seconds(2*time.Second, time.Hour)) && ok
	ok = readFamilies(f, &peer) && ok
	ok = set(f, "bfd", &peer.BFD, readBFD) && ok
	return peer, ok && peer.agrees(f)
}

// agrees checks what no key of a peer can know alone.
func (p Peer) agrees(f fields) bool {
	switch {
	case p.Multihop > 0 && p.TTLSecurity > 0:
		f.problem("multihop and ttl_security exclude each other: ttl_security takes a number of hops itself")
	case p.BFD != nil && (p.Multihop > 0 || p.TTLSecurity > 1):
		f.problem("bfd works over one hop, to a router on our network")
	case p.Source.IsValid() && p.Source.Is4() != p.Address.Is4():
		f.problem("source %s and address %s are not of one family", p.Source, p.Address)
	case p.Source.IsValid() && p.Source == p.Address:
		f.problem("source and address are both %s", p.Source)
	default:
		return true
	}
	return false
}

// readFamilies reads what is announced to a peer.
func readFamilies(f fields, peer *Peer) bool {
	c, given := f.get("families")
	if !given {
		return true
	}
	words, ok := c.words("ipv4, ipv6, or a list of them")
	peer.IPv4, peer.IPv6 = false, false
	for _, word := range words {
		family, good := choice(word, "ipv4", "ipv6")
		peer.IPv4, peer.IPv6 = peer.IPv4 || family == "ipv4", peer.IPv6 || family == "ipv6"
		ok = ok && good
	}
	return ok
}

// readBFD reads true, false, or a mapping.
func readBFD(c cursor) (*BFD, bool) {
	if c.isWord() {
		on, ok := c.boolean()
		if on {
			return defaultBFD(), ok
		}
		return nil, ok
	}
	bfd := defaultBFD()
	f, ok := c.fields(bfdObject, "true, or a mapping with interval, multiplier")
	if !ok {
		return nil, false
	}
	ok = setDuration(f, "interval", &bfd.Interval, 10*time.Millisecond, 10*time.Second)
	return bfd, setInt(f, "multiplier", &bfd.Multiplier, 1, 255) && ok
}

// readRestart reads off, or a mapping.
func readRestart(c cursor) (Restart, bool) {
	if c.node.Value == "off" || c.node.Value == "false" {
		return Restart{}, true
	}
	restart := defaultBGP().Restart
	f, ok := c.fields(restartObject, "off, or a mapping with time, long_lived")
	if !ok {
		return restart, false
	}
	ok = set(f, "time", &restart.Time, seconds(time.Second, maxRestart))
	return restart, set(f, "long_lived", &restart.LongLived, seconds(time.Second, maxLongLived)) && ok
}

// seconds reads a duration that the protocol carries as whole seconds.
func seconds(lo, hi time.Duration) func(cursor) (time.Duration, bool) {
	return func(c cursor) (time.Duration, bool) {
		d, ok := c.duration(lo, hi)
		if ok && d%time.Second != 0 {
			c.problem("%s is no whole number of seconds, which is all that BGP knows", plain(d))
			return 0, false
		}
		return d, ok
	}
}
