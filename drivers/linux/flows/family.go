package flows

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// A family is what differs between IPv4 and IPv6. Values are offsets and
// lengths in bytes.
type family struct {
	number       int // AF_INET, AF_INET6
	table        nftables.TableFamily
	address      nftables.SetDatatype
	size         uint32   // of an address
	source, dest uint32   // in the network header
	icmp         uint8    // the protocol number
	errors       [2]uint8 // first and last ICMP type that tells of an error with a packet
	// In an ICMP error, from its header on: where the packet that it is about
	// begins, and its transport header if it has no options.
	quoted, quotedPorts uint32
	quotedProtocol      uint32
}

var (
	ipv4 = &family{
		number: unix.AF_INET, table: nftables.TableFamilyIPv4, address: nftables.TypeIPAddr,
		size: 4, source: 12, dest: 16, icmp: unix.IPPROTO_ICMP, errors: [2]uint8{3, 3},
		quoted: 8, quotedPorts: 8 + 20, quotedProtocol: 8 + 9,
	}
	ipv6 = &family{
		number: unix.AF_INET6, table: nftables.TableFamilyIPv6, address: nftables.TypeIP6Addr,
		size: 16, source: 8, dest: 24, icmp: unix.IPPROTO_ICMPV6, errors: [2]uint8{1, 4},
		quoted: 8, quotedPorts: 8 + 40, quotedProtocol: 8 + 6,
	}
)

func (f *family) has(p netip.Prefix) bool { return p.Addr().Is4() == (f == ipv4) }

// keySize is the length of a flow's key: client address and port, VIP address
// and port, each on a register of its own, of 4 bytes, or of 4 × 4.
func (f *family) keySize() int { return int(2*f.size) + 8 }

// vip reads the VIP's address from a flow's key.
func (f *family) vip(key []byte) netip.Addr {
	if len(key) != f.keySize() {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(key[f.size+4 : 2*f.size+4])
	return a
}

// interval returns the ends of a prefix as the kernel's interval sets hold
// them: the first address, and the first that is beyond; nil if none is.
func interval(p netip.Prefix) (first, beyond []byte) {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	if next := end.Next(); next.IsValid() {
		beyond = next.AsSlice()
	}
	return p.Addr().AsSlice(), beyond
}

// prefixOf undoes interval. An interval that is no prefix, which we never
// write, gives the zero Prefix.
func prefixOf(first, beyond []byte) netip.Prefix {
	start, ok := netip.AddrFromSlice(first)
	if !ok {
		return netip.Prefix{}
	}
	for bits := 0; bits <= start.BitLen(); bits++ {
		p := netip.PrefixFrom(start, bits)
		if p != p.Masked() {
			continue
		}
		if _, end := interval(p); string(end) == string(beyond) {
			return p
		}
	}
	return netip.Prefix{}
}

// Marks are in the byte order of the machine.
func putMark(mark uint32) []byte { return binary.NativeEndian.AppendUint32(nil, mark) }
func readMark(b []byte) (uint32, bool) {
	if len(b) != 4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(b), true
}

// word is nft(8)'s name of the family.
func (f *family) word() string {
	if f == ipv4 {
		return "ip"
	}
	return "ip6"
}
