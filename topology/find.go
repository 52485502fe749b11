package topology

import (
	"net/netip"
	"slices"
)

// FindVIP returns the VIP that an operator means by a word: the name of its entry,
// one of its prefixes, or an address in one. It is the first of its entry.
func (s *Site) FindVIP(word string) (VIP, bool) {
	address, _ := netip.ParseAddr(word) // the zero Addr is in no prefix
	prefix, _ := netip.ParsePrefix(word)
	at := slices.IndexFunc(s.VIPs, func(vip VIP) bool {
		return vip.Name == word && word != "" || vip.Prefix == prefix || vip.Prefix.Contains(address)
	})
	if at < 0 {
		return VIP{}, false
	}
	return s.VIP(s.VIPs[at].Entry)
}
