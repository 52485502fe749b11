package topology

import (
	"fmt"
	"net/netip"
	"strings"
)

// looksLikeAddress says that a word could be taken for an address or prefix.
func looksLikeAddress(word string) bool {
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(word)
	return err == nil
}

// address reads an IP address, or notes why it is none.
func (c cursor) address() (netip.Addr, bool) {
	word, ok := c.word("an address such as 192.0.2.11")
	if !ok {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(word)
	switch {
	case err == nil && addr.Is4In6():
		c.problem("%s is an IPv4 address in IPv6 form, write %s", word, addr.Unmap().WithZone(""))
		return netip.Addr{}, false
	case err == nil:
		return addr, true
	}
	if host, _, isPrefix := strings.Cut(word, "/"); isPrefix && looksLikeAddress(host) {
		c.problem("expected an address, found prefix %q, did you mean %s?", shorten(word), host)
		return netip.Addr{}, false
	}
	c.problem("%q is not an address such as 192.0.2.11 or 2001:db8::11%s", shorten(word), leadingZero(word))
	return netip.Addr{}, false
}

// leadingZero explains a refusal that looks like a fault of ours.
func leadingZero(word string) string {
	for _, part := range strings.Split(word, ".") {
		if len(part) > 1 && part[0] == '0' && !strings.Contains(word, ":") {
			return ", write numbers without leading zeros"
		}
	}
	return ""
}

// nextHop reads an address that a router can use as next hop.
func (c cursor) nextHop() (netip.Addr, bool) {
	addr, ok := c.address()
	if !ok {
		return addr, false
	}
	if fault := nextHopFault(addr); fault != "" {
		c.problem("%s %s; a router needs the server's own Ethernet address as next hop", addr, fault)
		return addr, false
	}
	return addr, true
}

// nextHopFault says why an address is no next hop.
func nextHopFault(addr netip.Addr) string {
	switch {
	case addr.IsUnspecified():
		return "is the unspecified address"
	case addr.IsLoopback():
		return "is a loopback address"
	case addr.IsMulticast():
		return "is a multicast address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "is the broadcast address"
	case addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "":
		return "is a link-local address without its interface, write " + addr.String() + "%eth0"
	case !addr.IsLinkLocalUnicast() && addr.Zone() != "":
		return "names an interface, which only a link-local address needs"
	}
	return ""
}

// prefix reads a prefix, or an address as the prefix of one host.
func (c cursor) prefix() (netip.Prefix, bool) {
	word, ok := c.word("a prefix such as 203.0.113.32/27")
	if !ok {
		return netip.Prefix{}, false
	}
	prefix, err := parsePrefix(word)
	if err != nil {
		c.problem("%q is not a prefix such as 203.0.113.32/27 or 2001:db8::1/128%s", shorten(word), prefixHint(word))
		return prefix, false
	}
	if fault := prefixFault(prefix); fault != "" {
		c.problem("%s %s", word, fault)
		return prefix, false
	}
	return prefix, true
}

// parsePrefix parses a prefix or, as that of one host, an address.
func parsePrefix(word string) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(word)
	if err != nil || addr.Zone() != "" {
		return netip.ParsePrefix(word) // which refuses a zone: a VIP is the same everywhere
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// prefixHint explains what else is written after an address.
func prefixHint(word string) string {
	host, length, _ := strings.Cut(word, "/")
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return leadingZero(word)
	case strings.Contains(length, "."):
		return ", write the prefix's length, not a netmask"
	case addr.Zone() != "":
		return ", and an interface has no place in it"
	}
	return fmt.Sprintf("; the length is from 1 to %d", addr.BitLen())
}

// prefixFault says why a prefix cannot be a VIP.
func prefixFault(prefix netip.Prefix) string {
	switch {
	case prefix.Addr().Is4In6():
		return "is an IPv4 address in IPv6 form, write it as IPv4"
	case prefix.Bits() == 0:
		return "is everything there is; a VIP is a part of it"
	case prefix != prefix.Masked():
		return "has host bits set, did you mean " + prefix.Masked().String() + "?"
	}
	special := []struct{ prefix, fault string }{
		{"0.0.0.0/8", "has addresses of 0.0.0.0/8, which no host can have"},
		{"127.0.0.0/8", "has loopback addresses, which no router forwards"},
		{"169.254.0.0/16", "has link-local addresses, which no router forwards"},
		{"224.0.0.0/4", "has multicast addresses, which belong to no server"},
		{"255.255.255.255/32", "has the broadcast address, which belongs to no server"},
		{"::/127", "has loopback addresses, which no router forwards"},
		{"fe80::/10", "has link-local addresses, which no router forwards"},
		{"ff00::/8", "has multicast addresses, which belong to no server"},
	}
	for _, s := range special {
		if prefix.Overlaps(netip.MustParsePrefix(s.prefix)) {
			return s.fault
		}
	}
	return ""
}

// family names the IP version of an address.
func family(addr netip.Addr) string {
	if addr.Is4() {
		return "IPv4"
	}
	return "IPv6"
}
