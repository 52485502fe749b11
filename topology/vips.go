package topology

import (
	"net/netip"
	"slices"
)

// A draft is a VIP as read, with the places that later problems point at.
type draft struct {
	VIP
	at     cursor // the prefix
	nameAt cursor // the name; path only means anything when Name is set
}

// readVIPs reads the section vips.
func (r *reader) readVIPs(f fields) {
	const example = "[203.0.113.32/27]"
	c, given := f.get("vips")
	if !given {
		f.missing([]string{"vips"}, "no vips: a site needs at least one VIP, such as vips: %s", example)
		return
	}
	if c.isNull() || c.isList() && len(c.node.Content) == 0 {
		c.problem("no vips: a site needs at least one VIP, such as %s", example)
		return
	}
	items, _ := c.list("a list of VIPs such as " + example)
	if len(items) > maxVIPs {
		items[maxVIPs].problem("more than %d VIPs", maxVIPs)
		items = items[:maxVIPs]
	}
	for _, item := range items {
		if d, ok := r.readVIP(item); ok {
			r.drafts = append(r.drafts, d)
		}
		if r.pairs > maxPairs {
			item.problem("the VIPs up to here have more than %d servers in their tiers", maxPairs)
			break
		}
	}
	r.disjoint()
	r.distinctNames()
	for _, d := range r.drafts {
		d.Entry, d.Judge = d.Prefix, d.Prefix
		r.site.VIPs = append(r.site.VIPs, d.VIP)
	}
}

// readVIP reads one VIP: a prefix, or a mapping. It is true when the prefix is
// good enough to compare with others.
func (r *reader) readVIP(c cursor) (draft, bool) {
	d := draft{VIP: defaultVIP(r.site.Policy), at: c}
	if c.isWord() {
		prefix, ok := c.prefix()
		if ok {
			d.Prefix = prefix
			d.Addresses = []netip.Addr{defaultAddress(prefix)}
			r.useCheck(c, d.Check)
			r.readTiers(&d, fields{cursor: c})
		}
		return d, ok
	}
	f, ok := c.fields(vipObject, "a prefix such as 203.0.113.32/27, or a mapping with prefix")
	if !ok {
		return d, false
	}
	readVIPName(&d, f)
	setChoice(f, "mode", &d.Mode, Single, ECMP)
	set(f, "failback", &d.Failback, readFailback)
	setChoice(f, "on_all_down", &d.OnAllDown, Keep, Withdraw)
	r.readVIPCheck(&d, f)
	ok = readVIPPrefix(&d, f)
	r.readTiers(&d, f)
	return d, ok
}

// readVIPPrefix reads the prefix and the addresses in it.
func readVIPPrefix(d *draft, f fields) bool {
	c, given := f.get("prefix")
	if !given {
		f.missing([]string{"prefix"}, "a VIP needs a prefix, such as prefix: 203.0.113.32/27")
		return false
	}
	prefix, ok := c.prefix()
	if !ok {
		return false
	}
	d.Prefix, d.at = prefix, c
	d.Addresses = []netip.Addr{defaultAddress(prefix)}
	set(f, "addresses", &d.Addresses, func(c cursor) ([]netip.Addr, bool) { return readVIPAddresses(c, prefix) })
	return true
}

// readVIPAddresses reads the addresses that servers carry.
func readVIPAddresses(c cursor, prefix netip.Prefix) ([]netip.Addr, bool) {
	items, ok := c.words("a list of addresses in " + prefix.String())
	var addrs []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, item := range items {
		addr, good := item.address()
		switch {
		case !good:
			ok = false
		case !prefix.Contains(addr):
			item.problem("address %s is not in %s", addr, prefix)
			ok = false
		case seen[addr]:
			item.problem("address %s is given twice", addr)
			ok = false
		default:
			seen[addr] = true
			addrs = append(addrs, addr)
		}
	}
	return addrs, ok
}

// readVIPName reads the name, for people.
func readVIPName(d *draft, f fields) {
	c, given := f.get("name")
	if !given {
		return
	}
	word, ok := c.word("a name such as shop")
	if ok && checkName(c, "VIP", word) {
		d.Name, d.nameAt = word, c
	}
}

// readVIPCheck reads the name of the check.
func (r *reader) readVIPCheck(d *draft, f fields) {
	c, given := f.get("check")
	if !given {
		r.useCheck(f.cursor, d.Check)
		return
	}
	if word, ok := c.word("the name of a check"); ok {
		d.Check = CheckName(word)
		r.useCheck(c, d.Check)
	}
}

// distinctNames notes VIP names that mean two things: operators write
// "status web1" for a VIP or a server alike.
func (r *reader) distinctNames() {
	lines := map[string]int{}
	for _, d := range r.drafts {
		if d.Name == "" {
			continue
		}
		if line, twice := lines[d.Name]; twice {
			d.nameAt.problem("VIP name %q is used twice, first on line %d", d.Name, line)
			continue
		}
		lines[d.Name] = d.nameAt.node.Line
		if _, taken := r.servers[ServerName(d.Name)]; taken {
			d.nameAt.problem("%q is the name of a server already", d.Name)
		}
	}
}

// disjoint notes prefixes that overlap each other or cover a server's own
// address. It looks prefixes up by each length in use, so that the cost stays
// linear in the number of VIPs.
func (r *reader) disjoint() {
	index := map[netip.Prefix]draft{}
	var lengths []int
	for _, d := range r.drafts {
		if before, twice := index[d.Prefix]; twice {
			d.at.problem("%s is given twice, first on line %d", d.Prefix, before.at.node.Line)
			continue
		}
		index[d.Prefix] = d
		if !slices.Contains(lengths, d.Prefix.Bits()) {
			lengths = append(lengths, d.Prefix.Bits())
		}
	}
	slices.Sort(lengths)
	for _, d := range r.drafts {
		if outer, ok := covering(index, lengths, d.Prefix.Addr(), d.Prefix.Bits()-1); ok {
			overlap(outer, d)
		}
	}
	for _, s := range r.spots {
		if outer, ok := covering(index, lengths, s.addr, s.addr.BitLen()); ok {
			s.at.problem("address %s of server %s is inside VIP %s (line %d): a router could not reach the server to send it the VIP",
				s.addr, s.server, outer.Prefix, outer.at.node.Line)
		}
	}
}

// covering returns the widest VIP of at most bits bits that holds addr.
func covering(index map[netip.Prefix]draft, lengths []int, addr netip.Addr, bits int) (draft, bool) {
	for _, length := range lengths {
		if length > bits {
			break
		}
		prefix, err := addr.Prefix(length)
		if err != nil {
			break // an IPv4 address, and a length that only IPv6 has
		}
		if d, ok := index[prefix]; ok {
			return d, true
		}
	}
	return draft{}, false
}

// overlap notes two overlapping VIPs at the one that comes later in the file.
func overlap(a, b draft) {
	if a.at.node.Line > b.at.node.Line || a.at.node.Line == b.at.node.Line && a.at.node.Column > b.at.node.Column {
		a, b = b, a
	}
	b.at.problem("%s overlaps %s (line %d): one packet would have two ways to go", b.Prefix, a.Prefix, a.at.node.Line)
}
