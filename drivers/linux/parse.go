package linux

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// An entry is one route as the kernel has it.
type entry struct {
	prefix netip.Prefix
	*shape
}

// A shape is what routes of one table may have in common: all but the prefix.
// It is never changed, and shared by the entries of a look, so that 100,000
// routes to one next hop take little memory.
type shape struct {
	table     uint32
	metric    uint32
	protocol  uint8
	kind      uint8 // RTN_UNICAST, RTN_BLACKHOLE, …
	tos       uint8
	hops      []hop  // those of a nexthop object only if the kernel spells them out
	nexthopID uint32 // of a nexthop object; 0 for none
	fancy     bool   // has attributes that we never write
	raw       []byte // as appendShape gives it
}

func (s *shape) family() uint8 { return s.raw[0] }

// A hop is one next hop of an entry.
type hop struct {
	gateway  netip.Addr // zero when on-link
	iface    uint32     // interface index, 0 when unknown
	weight   int        // 1 to 256
	flags    uint8      // RTNH_F_LINKDOWN, RTNH_F_DEAD, RTNH_F_ONLINK, …
	addition bool       // has attributes that we never write
}

// routeKey reads only what a route is for, which is cheap, and ok tells
// whether it is a route of a table at all, rather than a cached lookup.
func routeKey(b []byte) (table uint32, p netip.Prefix, ok bool) {
	if len(b) < unix.SizeofRtMsg {
		return 0, netip.Prefix{}, false
	}
	if binary.NativeEndian.Uint32(b[8:])&unix.RTM_F_CLONED != 0 {
		return 0, netip.Prefix{}, false
	}
	table = uint32(b[4])
	addr := unspecified(b[0])
	for kind, value := range attributes(b[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_DST:
			addr = address(b[0], value)
		case unix.RTA_TABLE:
			table = number(value)
		}
	}
	p = netip.PrefixFrom(addr, int(b[1]))
	return table, p, p.IsValid()
}

// parseRoute reads the payload of an RTM_NEWROUTE.
func parseRoute(b []byte) (entry, error) {
	table, p, ok := routeKey(b)
	if !ok {
		return entry{}, fmt.Errorf("a route message of %d bytes is not a route of a table", len(b))
	}
	return entry{prefix: p, shape: parseShape(table, appendShape(nil, b))}, nil
}

// appendShape appends a route's message, from struct rtmsg on, without the
// prefix and without what the kernel counts.
func appendShape(to, b []byte) []byte {
	to = append(to, b[:unix.SizeofRtMsg]...)
	to[len(to)-unix.SizeofRtMsg+1] = 0 // rtm_dst_len
	for kind, value := range attributes(b[unix.SizeofRtMsg:]) {
		if kind != unix.RTA_DST && kind != unix.RTA_CACHEINFO {
			to = appendAttribute(to, kind, value)
		}
	}
	return to
}

// parseShape reads what appendShape gave, and keeps it.
func parseShape(table uint32, b []byte) *shape {
	family := b[0]
	s := &shape{table: table, tos: b[3], protocol: b[5], kind: b[7], raw: b}
	single := hop{weight: 1, flags: b[8]}
	for kind, value := range attributes(b[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_PRIORITY:
			s.metric = number(value)
		case rtaNHID:
			s.nexthopID = number(value)
		case unix.RTA_MULTIPATH:
			s.hops = parseMultipath(family, value)
		case unix.RTA_PREFSRC, unix.RTA_METRICS, unix.RTA_SRC:
			s.fancy = true
		default:
			single.read(family, kind, value)
		}
	}
	if s.hops == nil && (single.gateway.IsValid() || single.iface != 0) {
		s.hops = []hop{single}
	}
	return s
}

// read takes in an attribute of a next hop.
func (h *hop) read(family uint8, kind uint16, value []byte) {
	switch kind {
	case unix.RTA_GATEWAY:
		h.gateway = address(family, value)
	case unix.RTA_VIA:
		if len(value) > 2 {
			h.gateway = address(uint8(binary.NativeEndian.Uint16(value)), value[2:])
		}
	case unix.RTA_OIF:
		h.iface = number(value)
	case unix.RTA_ENCAP, unix.RTA_ENCAP_TYPE, unix.RTA_NEWDST:
		h.addition = true
	}
}

// parseMultipath reads a list of struct rtnexthop; it ends at the first that
// is malformed.
func parseMultipath(family uint8, b []byte) []hop {
	var hops []hop
	for len(b) >= unix.SizeofRtNexthop {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtNexthop || length > len(b) {
			break
		}
		h := hop{flags: b[2], weight: int(b[3]) + 1, iface: binary.NativeEndian.Uint32(b[4:])}
		for kind, value := range attributes(b[unix.SizeofRtNexthop:length]) {
			h.read(family, kind, value)
		}
		hops = append(hops, h)
		b = b[min(align(length), len(b)):]
	}
	return hops
}

// address is the zero Addr when the value does not fit the family.
func address(family uint8, value []byte) netip.Addr {
	switch {
	case family == unix.AF_INET && len(value) == 4, family == unix.AF_INET6 && len(value) == 16:
		a, _ := netip.AddrFromSlice(value)
		return a
	default:
		return netip.Addr{}
	}
}

func unspecified(family uint8) netip.Addr {
	switch family {
	case unix.AF_INET:
		return netip.IPv4Unspecified()
	case unix.AF_INET6:
		return netip.IPv6Unspecified()
	default:
		return netip.Addr{}
	}
}

// number is 0 when the value is too short.
func number(value []byte) uint32 {
	if len(value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(value)
}
