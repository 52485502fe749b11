package topology

import (
	"net/netip"
	"slices"
)

// readTiers reads the tiers of a VIP whose prefix may be unknown (bad): then
// only the names are checked.
func (r *reader) readTiers(d *draft, f fields) {
	given := f.given(tierNames()...)
	if len(given) == 0 {
		r.defaultTier(d, f, "primary", nil)
		return
	}
	r.noGaps(f, given)
	seen := map[ServerName]string{}
	for _, name := range d.Disabled {
		seen[name] = "disabled"
	}
	for _, name := range given {
		c, _ := f.get(name)
		if servers := r.readTier(d, c, name, seen); len(servers) > 0 {
			d.Tiers = append(d.Tiers, Tier{Name: name, Servers: servers})
			r.pairs += len(servers)
		}
	}
	if len(given) == 1 && given[0] == "primary" && len(d.Tiers) == 1 {
		r.defaultTier(d, f, "backup", d.Tiers[0].Servers)
	}
}

// readDisabled reads the servers that are never to carry the VIP.
func (r *reader) readDisabled(d *draft, f fields) {
	c, given := f.get("disabled")
	if !given {
		return
	}
	items, _ := c.words("a server, or a list of servers such as [web1, web2]")
	for _, item := range items {
		word, ok := item.word("the name of a server")
		switch _, known := r.servers[ServerName(word)]; {
		case !ok:
		case !known:
			item.unknown("server", shorten(word), r.serverNames())
		case slices.Contains(d.Disabled, ServerName(word)):
			item.problem("server %s is in disabled twice", word)
		default:
			d.Disabled = append(d.Disabled, ServerName(word))
		}
	}
	slices.Sort(d.Disabled)
}

// readWeights reads the VIP's own weights of its servers.
func (r *reader) readWeights(d *draft, f fields) {
	c, given := f.get("weights")
	if !given {
		return
	}
	all, _ := c.entries("a mapping of servers to weights, such as {web1: 2, web3: 0}")
	for _, e := range all {
		weight, ok := e.value.integer(0, 256)
		name := ServerName(e.name)
		switch _, known := r.servers[name]; {
		case !known:
			e.key.unknown("server", shorten(e.name), r.serverNames())
		case len(d.Tiers) > 0 && !slices.Contains(d.Servers(), name):
			e.key.problem("server %s is in no tier of this VIP", name)
		case ok && d.Weights == nil:
			d.Weights = map[ServerName]int{name: int(weight)}
		case ok:
			d.Weights[name] = int(weight)
		}
	}
}

// noGaps notes a tier without the one before it: probably a slip, and
// otherwise only a strange way to write.
func (r *reader) noGaps(f fields, given []string) {
	for i, name := range given {
		if want := tierNames()[i]; name != want {
			f.values[name].key.problem("%s without %s: write %s first", name, want, want)
			return
		}
	}
}

// defaultTier adds the tier of all servers, without those of the tier before
// it, that have an address for the VIP.
func (r *reader) defaultTier(d *draft, f fields, name string, without []ServerName) {
	if !d.Prefix.IsValid() {
		return
	}
	servers := r.carriers(d.Prefix.Addr(), slices.Sorted(slices.Values(slices.Concat(without, d.Disabled))))
	if len(servers) > 0 {
		d.Tiers = append(d.Tiers, Tier{Name: name, Servers: servers})
		r.pairs += len(servers)
		return
	}
	// A site whose servers are bad or missing has been told so already.
	if name == "primary" && len(r.site.Servers) > 0 && len(r.site.Servers) == len(r.servers) {
		d.at.problem("no server has an %s address to send %s to", family(d.Prefix.Addr()), d.Prefix)
	}
}

// readTier reads one tier: a server or a list of them.
func (r *reader) readTier(d *draft, c cursor, tier string, seen map[ServerName]string) []ServerName {
	items, _ := c.words("a server, or a list of servers such as [web1, web2]")
	var servers []ServerName
	for _, item := range items {
		word, ok := item.word("the name of a server")
		if ok && r.tierServer(d, item, tier, ServerName(word), seen) {
			servers = append(servers, ServerName(word))
		}
	}
	slices.Sort(servers)
	return servers
}

// tierServer notes a server that cannot be in that tier.
func (r *reader) tierServer(d *draft, c cursor, tier string, name ServerName, seen map[ServerName]string) bool {
	place, known := r.servers[name]
	if !known {
		if !c.src.full() {
			c.unknown("server", shorten(string(name)), r.serverNames())
		}
		return false
	}
	switch before, twice := seen[name]; {
	case twice && before == tier:
		c.problem("server %s is in %s twice", name, tier)
		return false
	case twice:
		c.problem("server %s is in %s and in %s: a server has one rank for a VIP", name, before, tier)
		return false
	}
	seen[name] = tier
	if place == badPlace || !d.Prefix.IsValid() {
		return false
	}
	if addr := d.Prefix.Addr(); len(r.site.Servers[place].AddressesFor(addr)) == 0 {
		c.problem("server %s has no %s address to send %s to%s", name, family(addr), d.Prefix, viaInet6Hint(addr))
		return false
	}
	return true
}

// viaInet6Hint says how a server without an IPv4 address can take an IPv4 VIP.
func viaInet6Hint(vip netip.Addr) string {
	if vip.Is4() {
		return "; with via_inet6: true it would be sent to its IPv6 address"
	}
	return ""
}
