package steer

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/routesteer/routesteer/topology"
)

// shards is into how many cohorts VIPs are split that are alike in all but
// their place in the file, and have a choice of servers: enough for the VIPs of
// a lost server to spread over the survivors. It depends on nothing, so that
// a change of the site sends no VIP to another cohort that it does not concern.
const shards = 64

// Cohorts are a site's VIPs, sorted into those that always move together, and
// what is known of them from the site alone. They are never changed.
type Cohorts struct {
	site *topology.Site
	idle bool        // a server has weight 0
	all  []*Cohort   // sorted by first prefix
	of   []int32     // of each of site.VIPs, the index in all
	by   [][]*Cohort // of each of site.Servers, those with it in a tier

	whole   *Cohorts       // those that nothing was set apart from; nil where nothing was
	apart   []netip.Prefix // of whom something is asked that is asked of no other of their cohort
	entries int            // of all cohorts
	single  int            // VIPs in single mode
	seats   int            // of all cohorts
}

// A Cohort is VIPs of one family that always move together: their verdicts,
// tiers, mode and policy are the same. VIPs of one entry of the file are of one
// cohort. Separate entries that share their verdicts are, too, in ecmp mode or
// without a choice of servers; otherwise they are split into at most 64.
type Cohort struct {
	topology.VIP                  // the first, which stands for all: they differ in name, prefix, addresses and BGP attributes alone
	ID           string           // the first prefix, for a cohort of several; "" for a lone VIP
	Entries      []topology.Entry // at least one, sorted
	Prefixes     []netip.Prefix   // of all entries, sorted
	index        int              // among the site's cohorts
	seats        []int32          // of each of its servers, tier by tier, the index in the site's
	first        int              // how many seats the cohorts before it have
	seed         uint64           // what its order of servers is made of

	home  topology.ServerName   // where it belongs when all are well; "" in ecmp mode
	homes []topology.ServerName // the same in either mode, sorted
}

// NewCohorts sorts the site's VIPs into cohorts, and sets some apart as Divide does. It
// takes time in proportion to the number of VIPs, and is called once for each site.
func NewCohorts(site *topology.Site, apart ...netip.Prefix) *Cohorts {
	c := sortCohorts(site, nil)
	c.settleHomes()
	return c.Divide(apart...)
}

// Divide returns the cohorts of the same site of which entries with these first prefixes, and
// no others, are of a cohort of their own, as Will.Apart wants it; apart from that nothing
// changes. It returns c itself if it is so divided already, and otherwise takes time in
// proportion to the number of VIPs.
func (c *Cohorts) Divide(apart ...netip.Prefix) *Cohorts {
	whole := c
	if c.whole != nil {
		whole = c.whole
	}
	apart = slices.DeleteFunc(slices.Clone(apart), whole.alone)
	switch {
	case slices.Equal(apart, c.apart):
		return c
	case len(apart) == 0:
		return whole
	}
	divided := sortCohorts(c.site, apart)
	divided.whole, divided.apart = whole, apart
	for _, cohort := range divided.all {
		// Who is set apart belongs where it did, and so do the others.
		former := whole.Of(cohort.Prefix)
		cohort.home, cohort.homes = former.home, former.homes
	}
	return divided
}

// alone reports whether an entry, if there is one, is the only one of its cohort
// anyhow.
func (c *Cohorts) alone(entry netip.Prefix) bool {
	cohort := c.Of(entry)
	return cohort == nil || len(cohort.Entries) == 1
}

func sortCohorts(site *topology.Site, apart []netip.Prefix) *Cohorts {
	c := &Cohorts{site: site, of: make([]int32, len(site.VIPs))}
	c.idle = slices.ContainsFunc(site.Servers, func(server topology.Server) bool { return server.Weight == 0 })
	known := map[string]*Cohort{}
	place := map[netip.Prefix]int32{} // of each entry
	for _, entry := range site.Entries() {
		key, seed := identity(site, entry.VIP)
		if _, alone := slices.BinarySearchFunc(apart, entry.VIP.Prefix, ComparePrefix); alone {
			key = entry.VIP.Prefix.String()
		}
		cohort := known[key]
		if cohort == nil {
			cohort = &Cohort{VIP: entry.VIP, index: len(c.all), seed: seed}
			known[key] = cohort
			c.all = append(c.all, cohort)
		}
		cohort.Entries = append(cohort.Entries, entry)
		place[entry.VIP.Prefix] = int32(cohort.index)
	}
	for i, vip := range site.VIPs {
		c.of[i] = place[vip.Entry]
	}
	for _, cohort := range c.all {
		cohort.gather()
		c.entries += len(cohort.Entries)
		if cohort.Mode == topology.Single {
			c.single += len(cohort.Prefixes)
		}
	}
	c.findServers()
	return c
}

// idles reports whether the file gives the server no share of the cohort's
// traffic.
func (c *Cohorts) idles(name topology.ServerName, vip *Cohort) bool {
	if weight, given := vip.Weights[name]; given {
		return weight == 0
	}
	if !c.idle {
		return false
	}
	server := c.server(name, vip)
	return server >= 0 && c.site.Servers[server].Weight == 0
}

// findServers notes who each cohort's servers are, and which cohorts each server may carry.
func (c *Cohorts) findServers() {
	c.by = make([][]*Cohort, len(c.site.Servers))
	for _, cohort := range c.all {
		cohort.first = c.seats
		for _, name := range cohort.Servers() {
			i := c.place(name)
			c.by[i] = append(c.by[i], cohort)
			cohort.seats = append(cohort.seats, int32(i))
		}
		c.seats += len(cohort.seats)
	}
}

// place is the server's index among the site's; -1 if it has none of that name.
func (c *Cohorts) place(name topology.ServerName) int {
	i, known := slices.BinarySearchFunc(c.site.Servers, name, func(s topology.Server, name topology.ServerName) int { return cmp.Compare(s.Name, name) })
	if !known {
		return -1
	}
	return i
}

// server is the index of a server among the site's, best found by a cohort that it may
// carry; -1 if the site has none of that name.
func (c *Cohorts) server(name topology.ServerName, vip *Cohort) int {
	if seat := vip.seat(name); seat >= 0 {
		return int(vip.seats[seat])
	}
	return c.place(name)
}

// seat is the server's place among those of the cohort; -1 if it is in no tier.
func (c *Cohort) seat(name topology.ServerName) int {
	seat := 0
	for _, tier := range c.Tiers {
		if at, known := slices.BinarySearch(tier.Servers, name); known {
			return seat + at
		}
		seat += len(tier.Servers)
	}
	return -1
}

// gather collects the prefixes of the cohort's entries.
func (c *Cohort) gather() {
	c.Prefixes = c.Entries[0].Prefixes
	if len(c.Entries) > 1 {
		c.Prefixes = nil
		for _, entry := range c.Entries {
			c.Prefixes = append(c.Prefixes, entry.Prefixes...)
		}
		slices.SortFunc(c.Prefixes, ComparePrefix)
	}
	if len(c.Prefixes) > 1 {
		c.ID = c.Prefix.String()
	}
}

// identity is what the VIPs of a cohort have in common, and the seed of their
// order of servers.
func identity(site *topology.Site, vip topology.VIP) (string, uint64) {
	var b strings.Builder
	fmt.Fprintf(&b, "%t %s %v %s %s %v", vip.Prefix.Addr().Is4(), vip.Mode, vip.Failback, vip.OnAllDown, vip.Check, vip.Weights)
	choice := false
	for _, tier := range vip.Tiers {
		fmt.Fprintf(&b, " %s %s", tier.Name, tier.Servers)
		choice = choice || len(tier.Servers) > 1 && vip.Mode == topology.Single
	}
	own := seedOf(vip.Prefix)
	check, _ := site.Check(vip.Check)
	if check.Through != topology.ThroughAddress {
		return fmt.Sprint(b.String(), " ", vip.Judge), own
	}
	if choice {
		fmt.Fprint(&b, " shard ", own%shards)
	}
	return fmt.Sprint(b.String(), " ", vip.Judge), hash(offset, b.String())
}

// All returns the cohorts, sorted by first prefix. Nobody changes them.
func (c *Cohorts) All() []*Cohort {
	if c == nil {
		return nil
	}
	return c.all
}

// Site returns the site that they are of.
func (c *Cohorts) Site() *topology.Site { return c.site }

// Prefixes returns the prefixes of each cohort, as drivers want to be told them.
// Nobody changes them.
func (c *Cohorts) Prefixes() [][]netip.Prefix {
	var prefixes [][]netip.Prefix
	for _, cohort := range c.All() {
		prefixes = append(prefixes, cohort.Prefixes)
	}
	return prefixes
}

// Of returns the cohort that a prefix is of, or nil.
func (c *Cohorts) Of(prefix netip.Prefix) *Cohort {
	if c == nil {
		return nil
	}
	i, known := slices.BinarySearchFunc(c.site.VIPs, prefix, func(vip topology.VIP, p netip.Prefix) int { return ComparePrefix(vip.Prefix, p) })
	if !known {
		return nil
	}
	return c.all[c.of[i]]
}

// able are the servers of the cohort's first tier that have a share of its traffic;
// all of them if none has.
func (c *Cohorts) able(vip *Cohort) []topology.ServerName {
	first := vip.Tiers[0].Servers
	if !c.idle && vip.Weights == nil {
		return first
	}
	able := slices.DeleteFunc(slices.Clone(first), func(name topology.ServerName) bool { return c.idles(name, vip) })
	if len(able) == 0 {
		return first
	}
	return able
}

// Home is the server of the first tier that the cohort belongs to when all are
// well; "" in ecmp mode.
func (c *Cohort) Home() topology.ServerName { return c.home }

// settleHomes gives each cohort the servers that it belongs to when all are well: its
// first tier, or in single mode one of that.
func (c *Cohorts) settleHomes() {
	l := loadOf(c, nil, func(server int) bool { return len(c.by[server]) > 0 })
	for _, cohort := range c.all {
		cohort.homes = cohort.Tiers[0].Servers
	}
	// Those without a choice first: they are the load the others are spread over.
	for _, choice := range []bool{false, true} {
		for _, cohort := range c.all {
			able := c.able(cohort)
			if cohort.Mode == topology.Single && (len(able) > 1) == choice {
				cohort.home = l.peek(cohort, able)
				cohort.homes = []topology.ServerName{cohort.home}
				l.add(cohort, cohort.homes, len(cohort.Prefixes))
			}
		}
	}
}
