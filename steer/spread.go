package steer

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/topology"
)

// overload is how far above its fair share a server's number of VIPs may go
// before the next server in a VIP's order takes it (bounded-load hashing:
// Mirrokni, Thorup, Zadimoghaddam 2018).
const overload = 1.25

// A load counts the VIPs (in single mode) of each server, where they were until they are
// handed out anew, and bounds them by the servers' weights.
type load struct {
	cohorts *Cohorts
	count   []int  // of each of the site's servers
	out     []bool // who can take none
	vips    int    // to be shared in all
	total   int    // weight of the others, which share
}

// newLoad is what the servers have, and which of them can take any VIP.
func newLoad(in Input) *load { return loadOf(in.Cohorts, in.Previous.load, in.takesAny) }

func loadOf(cohorts *Cohorts, count []int, takesAny func(server int) bool) *load {
	servers := len(cohorts.by)
	l := &load{cohorts: cohorts, count: make([]int, servers), out: make([]bool, servers), vips: cohorts.single}
	copy(l.count, count)
	for i, server := range cohorts.site.Servers {
		if takesAny(i) {
			l.total += server.Weight
		} else {
			l.out[i] = true
		}
	}
	return l
}

// takesAny reports whether traffic of any cohort may be at one of the site's servers.
func (in *Input) takesAny(server int) bool {
	name := in.Site.Servers[server].Name
	holds := func(vip *Cohort) bool { return in.holds(name, vip) }
	if in.clear(server) { // people alone can speak against it
		holds = func(vip *Cohort) bool { return in.takenOff(name, vip) == "" }
	}
	return slices.ContainsFunc(in.Cohorts.by[server], holds)
}

// add counts the cohort's VIPs for servers. Of who is no server of the site any more
// nothing is counted.
func (l *load) add(vip *Cohort, servers []topology.ServerName, vips int) {
	for _, name := range servers {
		if i := l.cohorts.server(name, vip); i >= 0 {
			l.count[i] += vips
		}
	}
}

// move takes the cohort from some servers to others.
func (l *load) move(vip *Cohort, from, to []topology.ServerName) {
	if vip.Mode == topology.Single {
		l.add(vip, from, -len(vip.Prefixes))
		l.add(vip, to, len(vip.Prefixes))
	}
}

// of is what a server of the cohort has, the most that it has while it takes more and
// another has room (it ends up with one cohort more than that at most), and what it weighs
// for the cohort: its own weight, or what the VIP gives it.
func (l *load) of(name topology.ServerName, vip *Cohort) (count, limit, weight int) {
	i := l.cohorts.server(name, vip)
	server := &l.cohorts.site.Servers[i]
	return l.count[i], int(overload * float64(l.vips*server.Weight) / float64(max(l.total, 1))), vip.WeightOf(*server)
}

// peek picks the server for a cohort: the first in the cohort's own order that
// has room, or, if none has, the one with the least load for its weight. It
// does not count it.
func (l *load) peek(vip *Cohort, candidates []topology.ServerName) topology.ServerName {
	if len(candidates) == 1 {
		return candidates[0]
	}
	if name, found := l.first(vip, candidates); found {
		return name
	}
	ordered := l.order(vip, candidates)
	n := len(vip.Prefixes)
	return slices.MinFunc(ordered, func(a, b topology.ServerName) int {
		hasA, _, weightA := l.of(a, vip)
		hasB, _, weightB := l.of(b, vip)
		return cmp.Compare((hasA+n)*weightB, (hasB+n)*weightA)
	})
}

// first is the first in the cohort's order that has room; false if none has.
func (l *load) first(vip *Cohort, candidates []topology.ServerName) (best topology.ServerName, found bool) {
	most := 0.0
	for _, name := range candidates {
		count, limit, weight := l.of(name, vip)
		if count > limit {
			continue
		}
		s := score(vip.seed, name, weight)
		if !found || s > most || s == most && name < best {
			best, most, found = name, s, true
		}
	}
	return best, found
}

// order sorts servers by the cohort's preference: weighted rendezvous hashing,
// so that a server that leaves changes no other cohort's choice.
func (l *load) order(vip *Cohort, servers []topology.ServerName) []topology.ServerName {
	type scored struct {
		name  topology.ServerName
		score float64
	}
	all := make([]scored, len(servers))
	for i, name := range servers {
		_, _, weight := l.of(name, vip)
		all[i] = scored{name, score(vip.seed, name, weight)}
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

// score is -weight / ln(u) with u uniform in (0,1): the chance to be a cohort's
// first choice is in proportion to weight (Schindelhauer, Schomaker 2005).
func score(seed uint64, name topology.ServerName, weight int) float64 {
	u := (float64(mix(hash(seed, string(name)))>>11) + 0.5) / (1 << 53)
	return -float64(weight) / math.Log(u)
}

// seedOf is the seed of a cohort that is not split.
func seedOf(prefix netip.Prefix) uint64 {
	address := prefix.Addr().As16()
	return hash(hash(offset, string(address[:])), string([]byte{byte(prefix.Bits())}))
}

// offset is where hash begins: FNV-1a's.
const offset = 14695981039346656037

// hash goes on with a 64-bit FNV-1a hash.
func hash(h uint64, text string) uint64 {
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}

// mix spreads FNV's weak upper bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
