package topology

import (
	"net/netip"
	"slices"

	"gopkg.in/yaml.v3"
)

// A draft is an entry of vips as read, with the places that later problems
// point at.
type draft struct {
	VIP
	at     cursor   // the prefix, or the first of several
	nameAt cursor   // the name; path only means anything when Name is set
	bgpAt  cursor   // its own attributes; path only means anything when BGP is set
	listed []listed // all prefixes, in the order of the file; at least one
}

// A listed prefix is one of an entry, and where it stands.
type listed struct {
	prefix netip.Prefix
	node   *yaml.Node
	index  int // among those that the file lists, good or bad
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
	count := 0
	for _, item := range items {
		if d, ok := r.readVIP(item); ok {
			r.drafts = append(r.drafts, d)
			count += len(d.listed)
		}
		if count > maxVIPs {
			item.problem("the VIPs up to here are more than %d", maxVIPs)
			break
		}
		if r.pairs > maxPairs {
			item.problem("the VIPs up to here have more than %d servers in their tiers", maxPairs)
			break
		}
	}
	r.disjoint()
	r.distinctNames()
	r.unfold(count)
}

// unfold makes VIPs of the drafts, and finds out which are judged alike.
func (r *reader) unfold(count int) {
	type question struct {
		check CheckName
		is4   bool
	}
	judges := map[question]netip.Prefix{} // the first VIP of each check that goes to servers' own addresses
	for i := range r.drafts {
		d := &r.drafts[i]
		d.Entry = slices.MinFunc(d.listed, func(a, b listed) int { return a.prefix.Compare(b.prefix) }).prefix
		d.Judge = d.Entry
		q := question{d.Check, d.Entry.Addr().Is4()}
		if first, known := judges[q]; !known || d.Entry.Compare(first) < 0 {
			judges[q] = d.Entry
		}
	}
	through := map[CheckName]Through{}
	for _, check := range r.site.Checks {
		through[check.Name] = check.Through
	}
	r.site.VIPs = make([]VIP, 0, count)
	for _, d := range r.drafts {
		if through[d.Check] == ThroughAddress {
			d.Judge = judges[question{d.Check, d.Entry.Addr().Is4()}]
		}
		for _, l := range d.listed {
			vip := d.VIP
			vip.Prefix = l.prefix
			r.site.VIPs = append(r.site.VIPs, vip)
		}
	}
}

// readVIP reads one VIP: a prefix, or a mapping. It is true when the prefix is
// good enough to compare with others.
func (r *reader) readVIP(c cursor) (draft, bool) {
	d := draft{VIP: defaultVIP(r.site.Policy), at: c}
	if c.isWord() {
		prefix, ok := c.prefix()
		if ok {
			d.list(listed{prefix: prefix, node: c.node})
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
	setChoice(f, "on_all_down", &d.OnAllDown, Keep, Withdraw, FirstTier)
	if c, given := f.get("bgp"); given {
		d.bgpAt = c
		set(f, "bgp", &d.BGP, readOwnAttributes)
	}
	r.readVIPCheck(&d, f)
	ok = readVIPPrefix(&d, f)
	r.readDisabled(&d, f)
	r.readTiers(&d, f)
	r.readWeights(&d, f)
	return d, ok
}

// list adds a prefix; the first one stands for all.
func (d *draft) list(l listed) {
	if len(d.listed) == 0 {
		d.Prefix = l.prefix
		d.Addresses = []netip.Addr{defaultAddress(l.prefix)}
	}
	d.listed = append(d.listed, l)
}

// readVIPPrefix reads the prefix, or several, and the addresses in them.
func readVIPPrefix(d *draft, f fields) bool {
	c, single := f.get("prefix")
	all, several := f.get("prefixes")
	switch {
	case single && several:
		f.values["prefixes"].key.problem("prefix and prefixes: give one of them; prefixes is for several that always move together")
		return false
	case several:
		if !readVIPPrefixes(d, all) {
			return false
		}
	case !single:
		f.missing([]string{"prefix", "prefixes"}, "a VIP needs a prefix, such as prefix: 203.0.113.32/27")
		return false
	default:
		prefix, ok := c.prefix()
		if !ok {
			return false
		}
		d.at = c
		d.list(listed{prefix: prefix, node: c.node})
	}
	set(f, "addresses", &d.Addresses, d.readAddresses)
	return true
}

// readVIPPrefixes reads the list of prefixes of an entry. It is false when none
// is good.
func readVIPPrefixes(d *draft, c cursor) bool {
	items, ok := c.words("a list of prefixes such as [203.0.113.32/27, 203.0.113.64/27]")
	if !ok {
		return false
	}
	d.listed = make([]listed, 0, len(items))
	for i, item := range items {
		prefix, good := item.prefix()
		if !good {
			continue
		}
		if len(d.listed) > 0 && prefix.Addr().Is4() != d.Prefix.Addr().Is4() {
			item.problem("%s is %s, and the first of the list is %s: write an entry for each IP version", prefix, family(prefix.Addr()), family(d.Prefix.Addr()))
			continue
		}
		if len(d.listed) == 0 {
			d.at = item
		}
		d.list(listed{prefix, item.node, i})
	}
	return len(d.listed) > 0
}

// readAddresses reads the addresses that checks talk to.
func (d *draft) readAddresses(c cursor) ([]netip.Addr, bool) {
	want := d.Prefix.String()
	if len(d.listed) > 1 {
		want = "the prefixes"
	}
	items, ok := c.words("a list of addresses in " + want)
	within := d.within()
	var addrs []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, item := range items {
		addr, good := item.address()
		switch {
		case !good:
			ok = false
		case !within(addr):
			item.problem("address %s is not in %s", addr, want)
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

// within tells whether an address is in one of the entry's prefixes. That they
// do not overlap is checked elsewhere.
func (d *draft) within() func(netip.Addr) bool {
	sorted := make([]netip.Prefix, len(d.listed))
	for i, l := range d.listed {
		sorted[i] = l.prefix
	}
	slices.SortFunc(sorted, netip.Prefix.Compare)
	return func(addr netip.Addr) bool {
		after, _ := slices.BinarySearchFunc(sorted, addr, func(p netip.Prefix, a netip.Addr) int {
			if p.Addr().Compare(a) <= 0 {
				return -1
			}
			return 1
		})
		return after > 0 && sorted[after-1].Contains(addr)
	}
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
