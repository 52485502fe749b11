package topology

import (
	"net/netip"
	"slices"
)

// A Judge is what all VIPs of one VIP.Judge have in common: the checks whose
// results judge them.
type Judge struct {
	VIP     VIP          // the first of them, whose Prefix is their Judge
	Servers []ServerName // those of any of their tiers, each once: the ones to check
	VIPs    int          // how many are judged so
}

// Judges returns the site's judges, sorted by prefix. It takes time in
// proportion to the number of VIPs.
func (s *Site) Judges() []Judge {
	count := 0
	for i := range s.VIPs {
		if s.VIPs[i].Prefix == s.VIPs[i].Judge {
			count++
		}
	}
	judges := make([]Judge, 0, count)
	place := make(map[netip.Prefix]int, count)
	for i := range s.VIPs {
		vip := &s.VIPs[i]
		at, known := place[vip.Judge]
		if !known {
			at = len(judges)
			place[vip.Judge] = at
			judges = append(judges, Judge{VIP: *vip})
		}
		judges[at].VIPs++
		if vip.Prefix == vip.Entry { // the others of an entry have the same tiers
			judges[at].add(vip.Tiers)
		}
	}
	return judges
}

func (j *Judge) add(tiers []Tier) {
	for _, tier := range tiers {
		for _, name := range tier.Servers {
			if !slices.Contains(j.Servers, name) {
				j.Servers = append(j.Servers, name)
			}
		}
	}
}
