package topology

import "net/netip"

// An Entry is the VIPs that the file lists together: one prefix, or several
// under "prefixes".
type Entry struct {
	VIP      VIP            // the first of them, which stands for all: they differ in Prefix alone
	Prefixes []netip.Prefix // of all of them, sorted
}

// Entries returns the site's VIPs as the file lists them, sorted by their first
// prefix. It takes time in proportion to the number of VIPs.
func (s *Site) Entries() []Entry {
	size := map[netip.Prefix]int{} // of entries of several
	count := 0
	for _, vip := range s.VIPs {
		switch {
		case vip.Prefix == vip.Entry:
			count++
		default:
			size[vip.Entry]++
		}
	}
	all := make([]netip.Prefix, len(s.VIPs)) // shared by all entries
	entries := make([]Entry, 0, count)
	place := make(map[netip.Prefix]int, len(size))
	for _, vip := range s.VIPs {
		if vip.Prefix != vip.Entry {
			e := &entries[place[vip.Entry]]
			e.Prefixes = append(e.Prefixes, vip.Prefix)
			continue
		}
		n := 1 + size[vip.Prefix]
		if n > 1 {
			place[vip.Prefix] = len(entries)
		}
		entries = append(entries, Entry{VIP: vip, Prefixes: append(all[:0:n], vip.Prefix)})
		all = all[n:]
	}
	return entries
}
