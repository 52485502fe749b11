package topology

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Limits of a site. They bound what a file of maxFile bytes can make of
// itself: every server can be in the tiers of every VIP.
const (
	maxServers = 1024
	maxVIPs    = 131072
	maxPairs   = 4 << 20 // servers in tiers of VIPs
)

// Parse reads a site from the YAML text of a configuration file. Every
// default is filled in and every name and address checked, so that a Site
// needs no further checking.
//
// The error, if any, is a Problems: all that is wrong with the file, sorted
// by position. file is used in messages only.
func Parse(file string, data []byte) (*Site, error) {
	src := newSource(file, data)
	var site *Site
	if root := src.document(data); root != nil {
		site = readSite(cursor{src: src}.at(root, ""))
	}
	if len(src.problems) > 0 {
		return nil, src.found()
	}
	site.File, site.Hash = file, fmt.Sprintf("%.8x", sha256.Sum256(data))
	return site, nil
}

// A reader is a site half read: what later parts of the file need to know of
// earlier ones.
type reader struct {
	site    *Site
	servers map[ServerName]int // index in site.Servers, or badPlace
	checks  map[CheckName]bool // defined, well or badly
	spots   []spot             // every server address
	witness []cursor           // every witness address
	groups  []group            // checks of several
	drafts  []draft            // every VIP, in file order
	pairs   int                // servers in tiers so far

	viaInet6             int          // addresses that have a path for each family
	carriers4, carriers6 []ServerName // good servers with an address of that family, sorted
}

// badPlace marks a name that is defined, but so badly that nothing more can be
// said of it: its uses are no further problems.
const badPlace = -1

// readSite reads the whole file. The order is that of dependence, not of the
// file.
func readSite(c cursor) *Site {
	r := &reader{
		site:    &Site{Policy: defaultPolicy(), Alive: defaultAlive(), Paths: defaultPaths()},
		servers: map[ServerName]int{},
		checks:  map[CheckName]bool{},
	}
	f, ok := c.fields(siteObject, "a mapping with servers, vips and routers")
	if !ok {
		return nil
	}
	r.readServers(f)
	r.readChecks(f)
	set(f, "alive", &r.site.Alive, readAlive)
	set(f, "policy", &r.site.Policy, r.readPolicy)
	r.readVIPs(f)
	r.witnessesApart()
	r.readMaintenance(f)
	r.readRouters(f)
	r.readPaths(f)
	r.readWeb(f)
	r.readNotify(f)
	r.site.sort()
	return r.site
}

// section returns the entries of a required mapping of names, each name
// checked.
func section(f fields, key, what, example string) []entry {
	want := fmt.Sprintf("a mapping of %s, such as %s", key, example)
	c, given := f.get(key)
	if !given {
		f.missing([]string{key}, "no %s: a site needs at least one %s, such as %s", key, what, example)
		return nil
	}
	if c.isNull() || c.isMap() && len(c.node.Content) == 0 {
		c.problem("no %s: a site needs at least one %s, such as %s", key, what, example)
		return nil
	}
	return names(c, what, want)
}

// names reads a mapping whose keys are names.
func names(c cursor, what, want string) []entry {
	all, _ := c.entries(want)
	return slices.DeleteFunc(all, func(e entry) bool { return !checkName(e.key, what, e.name) })
}

// checkName notes a word that cannot be a name.
func checkName(c cursor, what, word string) bool {
	if fault := nameFault(word); fault != "" {
		c.problem("%q cannot be the name of a %s: %s", shorten(word), what, fault)
		return false
	}
	if looksLikeAddress(word) {
		c.problem("%q cannot be the name of a %s: it looks like an address", word, what)
		return false
	}
	return true
}

// sort puts everything in the order that Site documents.
func (s *Site) sort() {
	slices.SortFunc(s.Servers, func(a, b Server) int { return strings.Compare(string(a.Name), string(b.Name)) })
	slices.SortFunc(s.Checks, func(a, b Check) int { return strings.Compare(string(a.Name), string(b.Name)) })
	slices.SortFunc(s.Routers, func(a, b Router) int { return strings.Compare(string(a.Name), string(b.Name)) })
	slices.SortFunc(s.VIPs, func(a, b VIP) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
}
