package linux

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// Constants that x/sys/unix lacks; linux/rtnetlink.h, linux/nexthop.h.
const (
	rtaNHID               = 30
	nhaResGroup           = 12
	nhaResBuckets         = 1 // within nhaResGroup
	nhaResIdleTimer       = 2
	nhaResUnbalancedTimer = 3
	resilientType         = 1 // NEXTHOP_GRP_TYPE_RES

	attributeType = 0x3fff // nla_type without the nested and byte order flags
)

// A message is one netlink request: header fields and the payload after the
// header.
type message struct {
	kind    uint16
	flags   uint16
	payload []byte
}

// encode appends the message to b.
func (m message) encode(b []byte, seq uint32) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(m.payload)))
	b = ne.AppendUint16(b, m.kind)
	b = ne.AppendUint16(b, m.flags)
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, 0) // to the kernel
	return pad(append(b, m.payload...))
}

// messages yields the messages of a datagram; it ends at the first that is
// malformed.
func messages(datagram []byte) iter.Seq2[unix.NlMsghdr, []byte] {
	return func(yield func(unix.NlMsghdr, []byte) bool) {
		ne := binary.NativeEndian
		for len(datagram) >= unix.SizeofNlMsghdr {
			head := unix.NlMsghdr{
				Len:   ne.Uint32(datagram),
				Type:  ne.Uint16(datagram[4:]),
				Flags: ne.Uint16(datagram[6:]),
				Seq:   ne.Uint32(datagram[8:]),
				Pid:   ne.Uint32(datagram[12:]),
			}
			length := int(head.Len)
			if length < unix.SizeofNlMsghdr || length > len(datagram) {
				return
			}
			if !yield(head, datagram[unix.SizeofNlMsghdr:length]) {
				return
			}
			datagram = datagram[min(align(length), len(datagram)):]
		}
	}
}

// attributes yields the type and value of each attribute; it ends at the
// first that is malformed.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofRtAttr || length > len(b) {
				return
			}
			kind := binary.NativeEndian.Uint16(b[2:]) & attributeType
			if !yield(kind, b[unix.SizeofRtAttr:length]) {
				return
			}
			b = b[min(align(length), len(b)):]
		}
	}
}

func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return pad(append(b, value...))
}

func appendUint32(b []byte, kind uint16, value uint32) []byte {
	return appendAttribute(b, kind, binary.NativeEndian.AppendUint32(nil, value))
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// pad brings b to the next multiple of 4 bytes; everything before b's last
// message or attribute already is one.
func pad(b []byte) []byte {
	for len(b)%unix.NLMSG_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// routeHeader is a struct rtmsg.
func routeHeader(family, bits, table, protocol, scope, kind uint8) []byte {
	return []byte{family, bits, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0}
}

// shortTable is what rtm_table holds; RTA_TABLE says the rest.
func shortTable(table int) uint8 {
	if table > 255 {
		return unix.RT_TABLE_COMPAT
	}
	return uint8(table)
}

// dumpRoutes asks for the table's routes of one family. A kernel without
// strict checking sends all tables.
func dumpRoutes(family uint8, table int) message {
	b := routeHeader(family, 0, shortTable(table), 0, 0, 0)
	return message{kind: unix.RTM_GETROUTE, payload: appendUint32(b, unix.RTA_TABLE, uint32(table))}
}

// dumpAllRoutes asks for the routes of one family in all tables.
func dumpAllRoutes(family uint8) message {
	return message{kind: unix.RTM_GETROUTE, payload: routeHeader(family, 0, 0, 0, 0, 0)}
}

// lookupRoute asks where the kernel would send a packet.
func lookupRoute(to netip.Addr) message {
	b := routeHeader(familyOf(to), uint8(to.BitLen()), 0, 0, 0, 0)
	return message{kind: unix.RTM_GETROUTE, payload: appendAttribute(b, unix.RTA_DST, to.AsSlice())}
}

// writeRoute makes a route of ours. flags says what may exist: NLM_F_EXCL
// nothing, NLM_F_REPLACE something that it then takes the place of.
func (d *Driver) writeRoute(p netip.Prefix, to target, flags uint16) message {
	b := routeHeader(familyOf(p.Addr()), uint8(p.Bits()), shortTable(d.cfg.Table), d.cfg.Protocol,
		unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST)
	b = appendAttribute(b, unix.RTA_DST, p.Addr().AsSlice())
	b = appendUint32(b, unix.RTA_TABLE, uint32(d.cfg.Table))
	b = appendUint32(b, unix.RTA_PRIORITY, d.metric(familyOf(p.Addr())))
	switch {
	case to.object != 0:
		b = appendUint32(b, rtaNHID, to.object)
	case len(to.hops) == 1:
		b = appendGateway(b, p, to.hops[0].Address)
	default:
		b = appendMultipath(b, p, to.hops)
	}
	return message{kind: unix.RTM_NEWROUTE, flags: unix.NLM_F_CREATE | flags, payload: b}
}

// appendGateway says the next hop; one of the other family, IPv6 for an IPv4
// prefix, goes in RTA_VIA (RFC 5549).
func appendGateway(b []byte, p netip.Prefix, gateway netip.Addr) []byte {
	if gateway.Is4() == p.Addr().Is4() {
		return appendAttribute(b, unix.RTA_GATEWAY, gateway.AsSlice())
	}
	via := binary.NativeEndian.AppendUint16(nil, uint16(familyOf(gateway)))
	return appendAttribute(b, unix.RTA_VIA, append(via, gateway.AsSlice()...))
}

// appendMultipath says the next hops as a list of struct rtnexthop, each with
// its gateway.
func appendMultipath(b []byte, p netip.Prefix, hops []steer.NextHop) []byte {
	var list []byte
	for _, hop := range hops {
		gateway := appendGateway(nil, p, hop.Address)
		list = binary.NativeEndian.AppendUint16(list, uint16(unix.SizeofRtNexthop+len(gateway)))
		list = append(list, 0, uint8(hop.Weight-1)) // rtnh_hops is the weight less one
		list = append(list, 0, 0, 0, 0)             // any interface
		list = append(list, gateway...)
	}
	return appendAttribute(b, unix.RTA_MULTIPATH, list)
}

// deleteRoute removes exactly the route that the kernel showed as e: the same
// key, protocol, type and next hops.
func deleteRoute(e entry) message {
	b := append([]byte(nil), e.raw[:unix.SizeofRtMsg]...)
	b[1] = uint8(e.prefix.Bits())
	clear(b[8:unix.SizeofRtMsg]) // rtm_flags: what was seen (linkdown) is refused as a wish
	if e.nexthopID != 0 {
		b[7] = unix.RTN_UNSPEC // a blackhole object shows as the route's type, but is not
	}
	b = appendAttribute(b, unix.RTA_DST, e.prefix.Addr().AsSlice())
	for kind, value := range attributes(e.raw[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_TABLE, unix.RTA_PRIORITY, unix.RTA_PREFSRC, unix.RTA_METRICS, rtaNHID:
			b = appendAttribute(b, kind, value)
		case unix.RTA_GATEWAY, unix.RTA_VIA, unix.RTA_OIF, unix.RTA_MULTIPATH:
			if e.nexthopID == 0 { // else they only spell out the object, and are refused beside it
				b = appendAttribute(b, kind, value)
			}
		}
	}
	return message{kind: unix.RTM_DELROUTE, payload: b}
}
