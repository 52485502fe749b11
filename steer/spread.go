package steer

import (
	"cmp"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/topology"
)

// overload is how far above its fair share a server's number of VIPs may go
// before the next server in a VIP's order takes it (bounded-load hashing:
// Mirrokni, Thorup, Zadimoghaddam 2018).
const overload = 1.25

// A load counts the VIPs (in single mode) of each server while they are
// handed out, and bounds them by the servers' weights.
type load struct {
	weight map[topology.ServerName]int
	count  map[topology.ServerName]int
	vips   int // to be shared in all
	total  int // weight of the servers that share
}

// newLoad prepares to hand out the site's VIPs to the servers that can take
// any.
func newLoad(in Input) *load {
	return loadOf(in.Site, func(vip topology.VIP, name topology.ServerName) bool {
		return in.Eligible(name, vip) || in.holds(name, vip)
	})
}

func loadOf(site *topology.Site, shares func(topology.VIP, topology.ServerName) bool) *load {
	l := &load{weight: map[topology.ServerName]int{}, count: map[topology.ServerName]int{}}
	for _, server := range site.Servers {
		l.weight[server.Name] = server.Weight
	}
	sharing := map[topology.ServerName]bool{}
	for _, vip := range site.VIPs {
		if vip.Mode == topology.Single {
			l.vips++
		}
		for _, tier := range vip.Tiers {
			for _, name := range tier.Servers {
				if !sharing[name] && shares(vip, name) {
					sharing[name] = true
					l.total += l.weight[name]
				}
			}
		}
	}
	return l
}

func (l *load) add(servers []topology.ServerName) {
	for _, name := range servers {
		l.count[name]++
	}
}

// limit is the most VIPs a server takes while another has room.
func (l *load) limit(name topology.ServerName) int {
	return int(overload*float64(l.vips*l.weight[name])/float64(max(l.total, 1))) + 1
}

// peek picks the server for a VIP: the first in the VIP's own order that has
// room, or, if none has, the one with the least load for its weight. It does
// not count it.
func (l *load) peek(vip topology.VIP, candidates []topology.ServerName) topology.ServerName {
	if len(candidates) == 1 {
		return candidates[0]
	}
	ordered := l.order(vip.Prefix, candidates)
	for _, name := range ordered {
		if l.count[name] < l.limit(name) {
			return name
		}
	}
	return slices.MinFunc(ordered, func(a, b topology.ServerName) int {
		return cmp.Compare((l.count[a]+1)*l.weight[b], (l.count[b]+1)*l.weight[a])
	})
}

// order sorts servers by the VIP's preference: weighted rendezvous hashing, so
// that a server that leaves changes no other VIP's choice.
func (l *load) order(prefix netip.Prefix, servers []topology.ServerName) []topology.ServerName {
	type scored struct {
		name  topology.ServerName
		score float64
	}
	all := make([]scored, len(servers))
	for i, name := range servers {
		all[i] = scored{name, score(prefix, name, l.weight[name])}
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name))
	})
	ordered := make([]topology.ServerName, len(all))
	for i, s := range all {
		ordered[i] = s.name
	}
	return ordered
}

// score is -weight / ln(u) with u uniform in (0,1): the chance to be a VIP's
// first choice is in proportion to weight (Schindelhauer, Schomaker 2005).
func score(prefix netip.Prefix, name topology.ServerName, weight int) float64 {
	h := fnv.New64a()
	address := prefix.Addr().As16()
	h.Write(address[:])
	h.Write([]byte{byte(prefix.Bits())})
	h.Write([]byte(name))
	u := (float64(mix(h.Sum64())>>11) + 0.5) / (1 << 53)
	return -float64(weight) / math.Log(u)
}

// mix spreads FNV's weak upper bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// homes gives each VIP in single mode the server of its first tier that it
// belongs to when all are well. It depends on the site alone.
func homes(site *topology.Site) map[netip.Prefix]topology.ServerName {
	l := loadOf(site, func(topology.VIP, topology.ServerName) bool { return true })
	homes := make(map[netip.Prefix]topology.ServerName, len(site.VIPs))
	give := func(vip topology.VIP) {
		home := l.peek(vip, vip.Tiers[0].Servers)
		homes[vip.Prefix] = home
		l.count[home]++
	}
	// Those without a choice first: they are the load the others are spread over.
	for _, choice := range []bool{false, true} {
		for _, vip := range site.VIPs {
			if vip.Mode == topology.Single && (len(vip.Tiers[0].Servers) > 1) == choice {
				give(vip)
			}
		}
	}
	return homes
}
