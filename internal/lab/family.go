package lab

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// A Family says which kind of addresses the site has.
type Family string

const (
	IPv4 Family = "ipv4"
	IPv6 Family = "ipv6"
)

// familyOf returns the family of an address.
func familyOf(address netip.Addr) Family {
	if address.Is6() {
		return IPv6
	}
	return IPv4
}

// number returns what the kernel calls the family.
func (f Family) number() int {
	if f == IPv6 {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// network names the family's kind of a network to package net: "tcp" is
// "tcp6" for IPv6. A server of both would need an IPv6 that some machines
// do not have.
func (f Family) network(kind string) string {
	if f == IPv6 {
		return kind + "6"
	}
	return kind + "4"
}

// everywhere is the prefix of a default route.
func (f Family) everywhere() netip.Prefix {
	if f == IPv6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// An addressing is the addresses of a site. All are from documentation
// ranges (RFC 5737, RFC 3849), so that nobody takes them for real ones.
//
//	client 198.51.100.2 ── .1 router 192.0.2.1 ── switch ── 192.0.2.11 web1
//	                                                    └── 192.0.2.12 web2 …
//
//	client 2001:db8:1::2 ── ::1 router 2001:db8:2::1 ── switch ── 2001:db8:2::11 web1
//	                                                          └── 2001:db8:2::12 web2 …
type addressing struct {
	client, wan, lan netip.Prefix // a host's address and its link's length
	server           func(i int) netip.Addr
	vip              func(i int) (netip.Prefix, netip.Addr)
}

// addressing returns the addresses of a site with that many VIPs.
func (f Family) addressing(vips int) (addressing, error) {
	switch f {
	case IPv4:
		a := addressing{
			client: netip.MustParsePrefix("198.51.100.2/24"),
			wan:    netip.MustParsePrefix("198.51.100.1/24"),
			lan:    netip.MustParsePrefix("192.0.2.1/24"),
			server: func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)}) },
			vip:    wholeSubnets,
		}
		if vips > 7 {
			a.vip = singleHosts
		}
		return a, nil
	case IPv6:
		return addressing{
			client: netip.MustParsePrefix("2001:db8:1::2/64"),
			wan:    netip.MustParsePrefix("2001:db8:1::1/64"),
			lan:    netip.MustParsePrefix("2001:db8:2::1/64"),
			// Decimal digits, as people number hosts, though the kernel reads them as others.
			server: func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:2::%d", 11+i)) },
			vip:    sixtyFours,
		}, nil
	default:
		return addressing{}, fmt.Errorf("family %q: there are %q and %q", string(f), IPv4, IPv6)
	}
}

// wholeSubnets gives the article's /27s: 203.0.113.32/27 with .33, and so on.
func wholeSubnets(i int) (netip.Prefix, netip.Addr) {
	network := netip.AddrFrom4([4]byte{203, 0, 113, byte(32 * (i + 1))})
	return netip.PrefixFrom(network, 27), network.Next()
}

// singleHosts gives /32s of the range for benchmarks (RFC 2544), for sites
// with more VIPs than the article's range has subnets.
func singleHosts(i int) (netip.Prefix, netip.Addr) {
	n := i + 1
	host := netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)})
	return netip.PrefixFrom(host, 32), host
}

// sixtyFours gives 2001:db8:64:1::/64 with ::1, and so on.
func sixtyFours(i int) (netip.Prefix, netip.Addr) {
	n := i + 1
	network := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0x64, byte(n >> 8), byte(n)})
	return netip.PrefixFrom(network, 64), network.Next()
}

// sockaddr returns an address and port as system calls take them.
func sockaddr(to netip.AddrPort) unix.Sockaddr {
	if to.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
}

// A batcher sends and receives many packets in a system call: an
// ipv4.PacketConn or ipv6.PacketConn, whose messages are one type.
type batcher interface {
	ReadBatch(messages []ipv4.Message, flags int) (int, error)
	WriteBatch(messages []ipv4.Message, flags int) (int, error)
}
