package cisco

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A line is one static route in a router's configuration: one next hop of one
// prefix.
type line struct {
	vrf       string // "" is the global table
	prefix    netip.Prefix
	via       netip.Addr // zero: through an interface alone
	iface     string     // "" for none
	distance  int        // administrative; 1 unless given
	tag       uint32     // 0 for none
	name      string     // name, or description; "" for none
	permanent bool       // stays though its interface is down
	extra     []string   // words that we do not know, or that make the route depend on something

	context []string // lines that enter the mode in which it is typed
	text    string   // as the router prints it, without indentation
}

// plain reports whether the line holds nothing that we could not write again.
func (l line) plain() bool { return l.via.IsValid() && len(l.extra) == 0 }

// same reports whether the router takes two lines for the same route: the later
// replaces the options of the former.
func (l line) same(other line) bool {
	return l.vrf == other.vrf && l.prefix == other.prefix && l.via == other.via && l.iface == other.iface
}

// alike reports whether two lines of the same route have the same options, but
// for their names.
func (l line) alike(other line) bool {
	return l.distance == other.distance && l.tag == other.tag && l.permanent == other.permanent &&
		len(l.extra) == 0 && len(other.extra) == 0
}

// parseLine reads what follows "ip route" or "ipv6 route", or, on IOS-XR, a
// whole line in the block of an address family. ok is false if that is no route.
func parseLine(words []string, vrf string) (l line, ok bool) {
	l = line{vrf: vrf, distance: 1}
	words = l.table(words)
	if words, ok = l.destination(words); !ok {
		return l, false
	}
	for len(words) > 0 {
		words = l.option(words)
	}
	return l, true
}

// table reads the words that may stand before the destination.
func (l *line) table(words []string) []string {
	for len(words) >= 2 && (words[0] == "vrf" || words[0] == "topology") {
		if words[0] == "vrf" {
			l.vrf = words[1]
		} else {
			l.extra = append(l.extra, words[:2]...)
		}
		words = words[2:]
	}
	return words
}

// destination reads a prefix, or an address and its mask.
func (l *line) destination(words []string) ([]string, bool) {
	if len(words) == 0 {
		return nil, false
	}
	if prefix, err := netip.ParsePrefix(words[0]); err == nil {
		l.prefix = prefix.Masked()
		return words[1:], true
	}
	if len(words) < 2 {
		return nil, false
	}
	addr, err := netip.ParseAddr(words[0])
	bits, isMask := maskBits(words[1])
	if err != nil || !addr.Is4() || !isMask {
		return nil, false
	}
	l.prefix = netip.PrefixFrom(addr, bits).Masked()
	return words[2:], true
}

// option reads the next hop or one option, and returns the words after it.
// Options come in any order: releases print different ones.
func (l *line) option(words []string) []string {
	word, rest := words[0], words[1:]
	addr, noAddr := netip.ParseAddr(word)
	number, noNumber := strconv.ParseUint(word, 10, 32)
	switch {
	case noAddr == nil && !l.via.IsValid():
		l.via = addr
	case noNumber == nil && number >= 1 && number <= 255:
		l.distance = int(number)
	case word == "tag" && len(rest) > 0:
		if tag, err := strconv.ParseUint(rest[0], 10, 32); err == nil {
			l.tag = uint32(tag)
			return rest[1:]
		}
		l.extra = append(l.extra, word)
	case (word == "name" || word == "description") && len(rest) > 0:
		l.name = rest[0]
		return rest[1:]
	case word == "permanent":
		l.permanent = true
	case isBinding(word) || l.iface != "" || !isLetter(word[0]):
		// The rest may belong together in a way that we do not know.
		l.extra = append(l.extra, words...)
		return nil
	default:
		l.iface = word
	}
	return rest
}

// isBinding reports whether a word begins an option that we do not write. Some
// routers take an interface in its place, so it would look like one.
func isBinding(word string) bool {
	switch word {
	case "track", "multicast", "unicast", "global", "vrf", "nexthop-vrf", "egress-vrf", "metric",
		"label", "vrflabel", "table", "color", "segments", "onlink", "bfd", "weight":
		return true
	}
	return false
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// maskBits is the length of a dotted netmask; ok is false if it is none.
func maskBits(mask string) (bits int, ok bool) {
	addr, err := netip.ParseAddr(mask)
	if err != nil || !addr.Is4() {
		return 0, false
	}
	b := addr.As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	for bits < 32 && n&0x8000_0000 != 0 {
		bits, n = bits+1, n<<1
	}
	return bits, n == 0
}

// dotted writes the mask of an IPv4 prefix.
func dotted(prefix netip.Prefix) string {
	n := uint32(0)
	if bits := prefix.Bits(); bits > 0 {
		n = ^uint32(0) << (32 - bits)
	}
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
}

// parseConfig finds the static routes in a configuration, in its order. Blocks
// are told by indentation, as all dialects print them.
func parseConfig(text string) []line {
	var lines []line
	var blocks []block
	for _, raw := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(raw, " ")
		indent := len(raw) - len(trimmed)
		trimmed = strings.TrimSpace(trimmed)
		if trimmed == "" || trimmed[0] == '!' || trimmed[0] == '%' || syslogLine.MatchString(trimmed) {
			continue
		}
		blocks = enclosing(blocks, indent)
		if l, ok := parseRoute(trimmed, blocks); ok {
			lines = append(lines, l)
			continue
		}
		blocks = append(blocks, block{indent, trimmed})
	}
	return lines
}

// A block is a line of the configuration that others may be indented under.
type block struct {
	indent int
	text   string
}

// enclosing leaves of the blocks those that a line of this indentation is in.
func enclosing(blocks []block, indent int) []block {
	i := slices.IndexFunc(blocks, func(b block) bool { return b.indent >= indent })
	if i < 0 {
		return blocks
	}
	return blocks[:i]
}

// parseRoute reads a line of the configuration as a static route.
func parseRoute(text string, blocks []block) (line, bool) {
	words := strings.Fields(text)
	vrf, static := "", false
	var context []string
	for _, b := range blocks {
		in := strings.Fields(b.text)
		switch {
		case len(in) == 3 && in[0] == "vrf" && in[1] == "context", len(in) == 2 && in[0] == "vrf":
			vrf = in[len(in)-1]
		case b.text == "router static":
			static = true
		}
		context = append(context, b.text)
	}
	switch {
	case len(words) > 2 && (words[0] == "ip" || words[0] == "ipv6") && words[1] == "route":
		words = words[2:]
	case !static:
		return line{}, false
	}
	l, ok := parseLine(words, vrf)
	l.context, l.text = context, text
	return l, ok && (l.via.IsValid() || l.iface != "" || len(l.extra) > 0)
}
