package steer

import (
	"net/netip"
	"slices"
)

// A Table is a router's routes sorted by cohort, so that Diff needs to look at
// no prefix that is as its cohort. It is never changed. A nil Table has no
// routes.
type Table struct {
	cohorts *Cohorts
	parts   [][]Part // of each cohort
	ours    int      // routes of ours
}

// A Part is prefixes of one cohort that have the same on a router.
type Part struct {
	Prefixes []netip.Prefix // sorted, at least one
	Ours     *Route         // our route, the first of them: the others differ in prefix and detail alone; nil for none
	Foreign  *Route         // a foreign route; nil for none. A part with one has one prefix
}

// NewTable sorts routes, which are sorted as SortRoutes sorts. Those that are not
// for VIPs are left out. It takes time in proportion to their number.
func NewTable(cohorts *Cohorts, routes []Route) *Table {
	t := &Table{cohorts: cohorts, parts: make([][]Part, len(cohorts.all))}
	drafts := make([]draft, len(cohorts.all))
	for i := range cohorts.site.VIPs {
		prefix := cohorts.site.VIPs[i].Prefix
		var at Part
		at, routes = take(prefix, routes)
		if at.Ours != nil {
			t.ours++
		}
		cohort := cohorts.all[cohorts.of[i]]
		drafts[cohort.index].add(cohort, prefix, at)
	}
	for i := range drafts {
		t.parts[i] = drafts[i].finish(cohorts.all[i])
	}
	return t
}

// take takes the routes of a prefix from the front of routes: ours and the first
// foreign one. Several of ours make it stray.
func take(prefix netip.Prefix, routes []Route) (Part, []Route) {
	var at Part
	for len(routes) > 0 && ComparePrefix(routes[0].Prefix, prefix) < 0 {
		routes = routes[1:]
	}
	for ; len(routes) > 0 && routes[0].Prefix == prefix; routes = routes[1:] {
		route := &routes[0]
		switch {
		case route.Foreign && at.Foreign == nil:
			at.Foreign = route
		case route.Foreign:
		case at.Ours == nil:
			at.Ours = route
		default:
			if at.Ours.Stray && !route.Stray {
				at.Ours = route
			}
			stray := *at.Ours
			stray.Stray = true
			at.Ours = &stray
		}
	}
	return at, routes
}

// same reports whether another prefix with at can be of the part.
func (p Part) same(at Part) bool {
	switch {
	case p.Foreign != nil || at.Foreign != nil:
		return false
	case p.Ours == nil || at.Ours == nil:
		return p.Ours == nil && at.Ours == nil
	default:
		return p.Ours.Stray == at.Ours.Stray && slices.Equal(p.Ours.NextHops, at.Ours.NextHops)
	}
}

// A draft is the parts of a cohort while they are found. As long as all of its
// prefixes have the same, they are only counted.
type draft struct {
	parts []Part
	alike int // prefixes so far, while there is one part
	last  int // the part that the last prefix went to
}

func (d *draft) add(cohort *Cohort, prefix netip.Prefix, at Part) {
	if len(d.parts) == 0 {
		d.parts = append(d.parts, own(at))
	}
	if len(d.parts) == 1 && (d.alike == 0 || d.parts[0].same(at)) {
		d.alike++
		return
	}
	if len(d.parts) == 1 {
		d.parts[0].Prefixes = slices.Clone(cohort.Prefixes[:d.alike])
	}
	switch {
	case at.Foreign != nil:
		d.last = -1
	case !d.parts[d.last].same(at):
		d.last = slices.IndexFunc(d.parts, func(p Part) bool { return p.same(at) })
	}
	if d.last < 0 {
		d.last = len(d.parts)
		d.parts = append(d.parts, own(at))
	}
	d.parts[d.last].Prefixes = append(d.parts[d.last].Prefixes, prefix)
}

// own copies the part's routes, so that it does not keep all of the others.
func own(at Part) Part {
	if at.Ours != nil {
		ours := *at.Ours
		at.Ours = &ours
	}
	if at.Foreign != nil {
		foreign := *at.Foreign
		at.Foreign = &foreign
	}
	return at
}

func (d *draft) finish(cohort *Cohort) []Part {
	if len(d.parts) == 1 {
		d.parts[0].Prefixes = cohort.Prefixes
	}
	return d.parts
}

// Parts returns what the router has for a cohort: one part if all of its
// prefixes have the same. Nobody changes it.
func (t *Table) Parts(cohort *Cohort) []Part {
	if t == nil {
		return nil
	}
	return t.parts[cohort.index]
}

// Ours counts the routes of ours.
func (t *Table) Ours() int {
	if t == nil {
		return 0
	}
	return t.ours
}

// PartsOf returns the same for some of the cohort's prefixes, which are sorted.
func (t *Table) PartsOf(cohort *Cohort, prefixes []netip.Prefix) []Part {
	all := t.Parts(cohort)
	if len(prefixes) == len(cohort.Prefixes) {
		return all
	}
	var parts []Part
	for _, part := range all {
		among := part.Prefixes
		part.Prefixes = nil
		for _, prefix := range prefixes {
			if _, found := slices.BinarySearchFunc(among, prefix, ComparePrefix); found {
				part.Prefixes = append(part.Prefixes, prefix)
			}
		}
		if len(part.Prefixes) > 0 {
			parts = append(parts, part)
		}
	}
	return parts
}
