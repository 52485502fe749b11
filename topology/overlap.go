package topology

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// A place is a listed prefix and its draft.
type place struct {
	draft *draft
	*listed
}

// disjoint notes prefixes that overlap each other or cover a server's own
// address. It looks prefixes up by each length in use, so that the cost stays
// linear in the number of VIPs.
func (r *reader) disjoint() {
	index := map[netip.Prefix]place{}
	var lengths []int
	for p := range r.places() {
		if before, twice := index[p.prefix]; twice {
			p.problem("%s is given twice, first on line %d", p.prefix, before.node.Line)
			continue
		}
		index[p.prefix] = p
		if !slices.Contains(lengths, p.prefix.Bits()) {
			lengths = append(lengths, p.prefix.Bits())
		}
	}
	slices.Sort(lengths)
	for p := range r.places() {
		if outer, ok := covering(index, lengths, p.prefix.Addr(), p.prefix.Bits()-1); ok {
			overlap(outer, p)
		}
	}
	for _, s := range r.spots {
		if outer, ok := covering(index, lengths, s.addr, s.addr.BitLen()); ok {
			s.at.problem("address %s of server %s is inside VIP %s (line %d): a router could not reach the server to send it the VIP",
				s.addr, s.server, outer.prefix, outer.node.Line)
		}
	}
}

// places yields every listed prefix, in the order of the file.
func (r *reader) places() iter.Seq[place] {
	return func(yield func(place) bool) {
		for i := range r.drafts {
			d := &r.drafts[i]
			for j := range d.listed {
				if !yield(place{d, &d.listed[j]}) {
					return
				}
			}
		}
	}
}

// problem notes a problem of the prefix.
func (p place) problem(format string, args ...any) {
	c := p.draft.at
	c.node = p.node
	if list, _, several := strings.Cut(c.path, ".prefixes["); several {
		c.path = fmt.Sprintf("%s.prefixes[%d]", list, p.index)
	}
	c.problem(format, args...)
}

// covering returns the widest VIP of at most bits bits that holds addr.
func covering(index map[netip.Prefix]place, lengths []int, addr netip.Addr, bits int) (place, bool) {
	for _, length := range lengths {
		if length > bits {
			break
		}
		prefix, err := addr.Prefix(length)
		if err != nil {
			break // an IPv4 address, and a length that only IPv6 has
		}
		if p, ok := index[prefix]; ok {
			return p, true
		}
	}
	return place{}, false
}

// overlap notes two overlapping VIPs at the one that comes later in the file.
func overlap(a, b place) {
	if a.node.Line > b.node.Line || a.node.Line == b.node.Line && a.node.Column > b.node.Column {
		a, b = b, a
	}
	b.problem("%s overlaps %s (line %d): one packet would have two ways to go", b.prefix, a.prefix, a.node.Line)
}
