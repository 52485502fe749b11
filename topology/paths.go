package topology

import "math"

// maxPriority keeps the policy rules before those of the tables main (32766)
// and default (32767), which would answer first.
const maxPriority = 32765

// readPaths reads the section paths. The numbers are the first of as many as
// there are server addresses, so they are checked last.
func (r *reader) readPaths(f fields) {
	c, given := f.get("paths")
	if !given {
		c = f.at(f.node, join(f.path, "paths"))
	}
	paths, ok := r.site.Paths, true
	if given {
		paths, ok = readPathNumbers(c, paths)
	}
	if ok && r.pathsFit(c, paths) {
		r.site.Paths = paths
	}
}

// readPathNumbers reads the three numbers.
func readPathNumbers(c cursor, paths Paths) (Paths, bool) {
	f, ok := c.fields(pathsObject, "a mapping with mark, table, priority")
	if !ok {
		return paths, false
	}
	ok = setInt(f, "mark", &paths.Mark, 1, math.MaxUint32)
	ok = setInt(f, "table", &paths.Table, 1, maxUint32) && ok
	ok = setInt(f, "priority", &paths.Priority, 1, maxPriority) && ok
	return paths, ok
}

// pathsFit notes numbers that run over the end, or into tables with another
// purpose.
func (r *reader) pathsFit(c cursor, paths Paths) bool {
	count := uint64(max(1, len(r.spots)+r.viaInet6))
	lastMark := uint64(paths.Mark) + count - 1
	lastTable := uint64(paths.Table) + count - 1
	ok := true
	if lastMark > math.MaxUint32 {
		c.problem("mark 0x%x leaves no room for the marks of %d server addresses", paths.Mark, count)
		ok = false
	}
	if lastTable > maxUint32 {
		c.problem("table %d leaves no room for the tables of %d server addresses", paths.Table, count)
		ok = false
	}
	inside := func(table int) bool { return table >= paths.Table && uint64(table) <= lastTable }
	if inside(tableDefault) || inside(tableMain) || inside(tableLocal) {
		c.problem("tables %d to %d, one for each server address, run into %d to %d, which are the kernel's own",
			paths.Table, lastTable, tableDefault, tableLocal)
		ok = false
	}
	ok = offFlows(c, "marks", uint64(paths.Mark), count, FlowMark, FlowPaths) && ok
	ok = offFlows(c, "tables", uint64(paths.Table), count, FlowTable, FlowPaths) && ok
	ok = offFlows(c, "priorities", uint64(paths.Priority), count, FlowPriority, FlowRules) && ok
	for _, router := range r.site.Routers {
		if router.Linux == nil {
			continue
		}
		table := router.Linux.Table
		if inside(table) && table < tableDefault || inside(table) && table > tableLocal {
			c.problem("tables %d to %d, one for each server address, run into table %[4]d, which router %[3]s steers",
				paths.Table, lastTable, router.Name, router.Linux.Table)
			ok = false
		}
	}
	return ok
}

// offFlows notes numbers that moves under way need.
func offFlows(c cursor, what string, first, count, flows, many uint64) bool {
	if first+count <= flows || flows+many <= first {
		return true
	}
	c.problem("%s %d to %d, one for each server address, run into %d to %d, which routesteer needs while it moves connections",
		what, first, first+count-1, flows, flows+many-1)
	return false
}
