package probe

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// An echo is what identifies one echo request of ours and its reply (RFC 792,
// RFC 4443 section 4). All of it is in the payload, behind a token that no other
// program knows; ICMP's own identifier is only 16 bits wide.
type echo struct {
	slot  uint32 // who asked
	count uint32 // its how-manieth request
}

const (
	echoHeader  = 8
	echoPayload = 8 + 4 + 4 // token, slot, count
	echoLength  = echoHeader + echoPayload

	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// appendEcho renders a request. For ICMPv6 the kernel fills in the checksum,
// which covers addresses that only it knows.
func appendEcho(b []byte, v4 bool, id uint16, token uint64, e echo) []byte {
	start := len(b)
	kind := byte(echoRequest6)
	if v4 {
		kind = echoRequest4
	}
	b = append(b, kind, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(e.count))
	b = binary.BigEndian.AppendUint64(b, token)
	b = binary.BigEndian.AppendUint32(b, e.slot)
	b = binary.BigEndian.AppendUint32(b, e.count)
	if v4 {
		binary.BigEndian.PutUint16(b[start+2:], checksum(b[start:]))
	}
	return b
}

// parseEcho reads a reply as a raw socket gives it: for IPv4 with the IP
// header. ok is false for anything that is not a reply to a request of ours.
func parseEcho(b []byte, v4 bool, id uint16, token uint64) (e echo, ok bool) {
	kind := byte(echoReply6)
	if v4 {
		kind = echoReply4
		if len(b) < 20 || b[0]>>4 != 4 {
			return echo{}, false
		}
		header := int(b[0]&0xf) * 4
		if header < 20 || len(b) < header {
			return echo{}, false
		}
		b = b[header:]
	}
	if len(b) < echoLength || b[0] != kind || b[1] != 0 ||
		binary.BigEndian.Uint16(b[4:]) != id || binary.BigEndian.Uint64(b[8:]) != token {
		return echo{}, false
	}
	if v4 && checksum(b) != 0 {
		return echo{}, false
	}
	e = echo{slot: binary.BigEndian.Uint32(b[16:]), count: binary.BigEndian.Uint32(b[20:])}
	return e, uint16(e.count) == binary.BigEndian.Uint16(b[6:])
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// from is the sender's address, without zone.
func from(sender unix.Sockaddr) netip.Addr {
	switch s := sender.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(s.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(s.Addr)
	default:
		return netip.Addr{}
	}
}
