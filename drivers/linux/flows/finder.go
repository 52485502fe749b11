package flows

import (
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/steer"
)

// A finder finds the prefix that an address is in, among disjoint ones.
type finder struct{ sorted []netip.Prefix }

func newFinder(prefixes map[netip.Prefix]element) *finder {
	f := &finder{}
	for p := range prefixes {
		f.sorted = append(f.sorted, p)
	}
	slices.SortFunc(f.sorted, steer.ComparePrefix)
	return f
}

func (f *finder) find(a netip.Addr) (netip.Prefix, bool) {
	// The last that begins at or before the address.
	after, _ := slices.BinarySearchFunc(f.sorted, a, func(p netip.Prefix, a netip.Addr) int {
		if p.Addr().Compare(a) <= 0 {
			return -1
		}
		return 1
	})
	if after == 0 || !f.sorted[after-1].Contains(a) {
		return netip.Prefix{}, false
	}
	return f.sorted[after-1], true
}
