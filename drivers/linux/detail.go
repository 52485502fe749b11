package linux

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// detail says what the next hops do not, in the words of ip-route(8):
// "proto static metric 10 dev lan0 linkdown".
func (s *shape) detail(f *face, name func(uint32) string) string {
	var words []string
	if f.kind != unix.RTN_UNICAST {
		words = append(words, kindName(f.kind))
	}
	if s.tos != 0 {
		words = append(words, fmt.Sprintf("tos 0x%02x", s.tos))
	}
	words = append(words, "proto "+protocolName(s.protocol), fmt.Sprintf("metric %d", s.metric))
	if s.nexthopID != 0 {
		words = append(words, fmt.Sprintf("nhid %d", s.nexthopID))
	}
	seen := map[string]bool{}
	for _, h := range f.hops {
		for _, word := range h.detail(name) {
			if !seen[word] {
				seen[word] = true
				words = append(words, word)
			}
		}
	}
	return strings.Join(words, " ")
}

func (h hop) detail(name func(uint32) string) []string {
	var words []string
	if h.iface != 0 {
		words = append(words, "dev "+name(h.iface))
	}
	for _, flag := range []struct {
		bit  uint8
		word string
	}{{unix.RTNH_F_ONLINK, "onlink"}, {unix.RTNH_F_LINKDOWN, "linkdown"}, {unix.RTNH_F_DEAD, "dead"}} {
		if h.flags&flag.bit != 0 {
			words = append(words, flag.word)
		}
	}
	return words
}

// protocolName gives the names that iproute2 ships in rt_protos, of the
// protocols that an operator may meet in the way of a VIP.
func protocolName(p uint8) string {
	switch p {
	case unix.RTPROT_REDIRECT:
		return "redirect"
	case unix.RTPROT_KERNEL:
		return "kernel"
	case unix.RTPROT_BOOT:
		return "boot"
	case unix.RTPROT_STATIC:
		return "static"
	case unix.RTPROT_RA:
		return "ra"
	case unix.RTPROT_ZEBRA:
		return "zebra"
	case unix.RTPROT_BIRD:
		return "bird"
	case unix.RTPROT_DHCP:
		return "dhcp"
	case unix.RTPROT_KEEPALIVED:
		return "keepalived"
	case unix.RTPROT_BGP:
		return "bgp"
	case unix.RTPROT_ISIS:
		return "isis"
	case unix.RTPROT_OSPF:
		return "ospf"
	case unix.RTPROT_RIP:
		return "rip"
	default:
		return strconv.Itoa(int(p))
	}
}

func kindName(kind uint8) string {
	switch kind {
	case unix.RTN_LOCAL:
		return "local"
	case unix.RTN_BROADCAST:
		return "broadcast"
	case unix.RTN_ANYCAST:
		return "anycast"
	case unix.RTN_MULTICAST:
		return "multicast"
	case unix.RTN_BLACKHOLE:
		return "blackhole"
	case unix.RTN_UNREACHABLE:
		return "unreachable"
	case unix.RTN_PROHIBIT:
		return "prohibit"
	case unix.RTN_THROW:
		return "throw"
	default:
		return "type " + strconv.Itoa(int(kind))
	}
}
