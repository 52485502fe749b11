package linux

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// A target is what a route is written to point at.
type target struct {
	hops   []steer.NextHop
	object uint32 // a nexthop object that comes to them; 0 for a plain route
}

// A write is one message for one prefix.
type write struct {
	task   *task
	prefix netip.Prefix
	to     *target // to write a route; nil to delete one
	flags  uint16
	old    *shape // the route to delete

	settled bool
}

// A plan is what a list of changes comes to, in the order in which it is
// done: no route is without next hops at any time, and none moves that should
// not.
type plan struct {
	tasks   []*task
	aside   []write  // plain routes for those that stay when their cohort's group moves
	objects []object // makes and moves groups
	write   []write  // routes, or their removal
	clean   []write  // removes what is in the way of routes, once they stand

	look    *look
	paths   *paths
	groups  map[uint32][]steer.NextHop // groups that this plan makes, moves or adds routes to
	fresh   map[*cohort]int            // the groups that it makes, in objects
	singles map[netip.Addr]int         // the members that several groups may share and that it makes, in objects
	claims  map[uint32]bool            // standing members that it uses, and whether alone
	next    uint32                     // the first id that may be free
	left    bool                       // a group may have lost its last route

	repeated bool // an earlier plan for the same changes did not fit the kernel's objects
	again    bool // nor does this one
}

// An object is one message for one nexthop object.
type object struct {
	nexthop nexthop
	flags   uint16
	tasks   []*task // those that need it
	settled bool
}

// plan says what to do for the changes, of which no two are for one prefix.
// The largest come first, because they decide where a cohort's group goes.
func (d *Driver) plan(l *look, changes []steer.Change, paths *paths) *plan {
	p := &plan{
		look: l, paths: paths, next: firstObject,
		groups: map[uint32][]steer.NextHop{}, fresh: map[*cohort]int{}, singles: map[netip.Addr]int{}, claims: map[uint32]bool{},
	}
	for _, c := range changes {
		p.tasks = append(p.tasks, &task{change: c, to: normal(c.To)})
	}
	bySize := slices.Clone(p.tasks)
	slices.SortStableFunc(bySize, func(a, b *task) int { return len(b.change.Prefixes) - len(a.change.Prefixes) })
	for _, t := range bySize {
		d.planTask(p, t)
	}
	return p
}

func (d *Driver) planTask(p *plan, t *task) {
	switch t.change.Op {
	case steer.Add, steer.Replace:
		if t.err = checkNextHops(t.change); t.err != nil {
			return
		}
		if of := d.whole(t.change); of != nil && p.planMove(d, t, of) {
			return
		}
		for _, part := range d.byCohort(t) {
			to := d.choose(p, t, part)
			p.eachEntry(part.prefixes, func(prefix netip.Prefix, have []entry) { d.planWrite(p, t, prefix, have, to) })
		}
	case steer.Remove:
		for _, part := range d.byCohort(t) {
			p.left = p.left || p.look.holds[part.of.index].group != 0
			p.eachEntry(part.prefixes, func(prefix netip.Prefix, have []entry) { d.planRemove(p, t, prefix, have) })
		}
	default:
		t.err = fmt.Errorf("no such operation: %q", t.change.Op)
	}
}

func (d *Driver) planRemove(p *plan, t *task, prefix netip.Prefix, have []entry) {
	for _, e := range have {
		if d.ours(e) {
			p.write = append(p.write, write{task: t, prefix: prefix, old: e.shape})
		}
	}
}

// checkNextHops refuses next hops that no kernel should see.
func checkNextHops(c steer.Change) error {
	if len(c.To) == 0 {
		return errors.New("no next hop given; to withdraw a route, remove it")
	}
	seen := map[netip.Addr]bool{}
	for _, h := range c.To {
		switch {
		case !h.Address.IsValid() || h.Address.IsUnspecified() || h.Address.Is4In6() || h.Address.Zone() != "":
			return fmt.Errorf("%q cannot be a next hop", h.Address)
		case c.Prefixes[0].Addr().Is6() && h.Address.Is4():
			return fmt.Errorf("an IPv6 prefix cannot have the IPv4 next hop %s", h.Address)
		case h.Weight < 1 || h.Weight > 256:
			return fmt.Errorf("next hop %s has weight %d; Linux knows 1 to 256", h.Address, h.Weight)
		case seen[h.Address]:
			return fmt.Errorf("next hop %s is given twice; use a weight", h.Address)
		}
		seen[h.Address] = true
	}
	return nil
}

// planMove plans the move of a whole cohort all of whose routes are on its
// group: a message or two, whatever the number of prefixes.
func (p *plan) planMove(d *Driver, t *task, of *cohort) bool {
	h := p.look.holds[of.index]
	if h.group == 0 || h.joined != len(of.prefixes) || h.entries != h.joined || !p.paths.lead(t.to) {
		return false
	}
	if !slices.Equal(p.hopsOf(h.group), t.to) {
		d.moveGroup(p, t, h.group)
	}
	return true
}

// A part is some prefixes of a cohort.
type part struct {
	of       *cohort
	prefixes []netip.Prefix // in the order of the change
}

// byCohort sorts out the prefixes of a change, which are of one cohort unless
// the caller has others than we. Those that are none of ours are refused.
func (d *Driver) byCohort(t *task) []part {
	if of := d.whole(t.change); of != nil {
		return []part{{of, of.prefixes}}
	}
	var (
		parts []part
		known = map[*cohort]int{}
	)
	for _, prefix := range t.change.Prefixes {
		of := d.cohorts[prefix]
		if of == nil {
			t.refuse(prefix, errors.New("the prefix is not one of the site's VIPs: refusing to touch its routes"))
			continue
		}
		at, seen := known[of]
		if !seen {
			at = len(parts)
			known[of] = at
			parts = append(parts, part{of: of})
		}
		parts[at].prefixes = append(parts[at].prefixes, prefix)
	}
	return parts
}

// moving is the prefixes of each task that get other next hops, or none.
func (p *plan) moving() map[*task][]netip.Prefix {
	moving := map[*task][]netip.Prefix{}
	for _, o := range p.objects {
		for _, t := range o.tasks {
			moving[t] = t.change.Prefixes
		}
	}
	for _, w := range p.write {
		before := moving[w.task]
		if len(before) < len(w.task.change.Prefixes) && (len(before) == 0 || before[len(before)-1] != w.prefix) {
			moving[w.task] = append(before, w.prefix)
		}
	}
	for t, prefixes := range moving {
		moving[t] = slices.DeleteFunc(slices.Clone(prefixes), t.failed)
	}
	return moving
}

// eachEntry calls each with what the kernel has for each of the prefixes.
func (p *plan) eachEntry(prefixes []netip.Prefix, each func(netip.Prefix, []entry)) {
	var (
		have []entry
		next int
	)
	for _, prefix := range prefixes {
		have, next = p.look.at(prefix, next)
		each(prefix, have)
	}
}

// choose says what the routes of some prefixes of a cohort should point at,
// and sees to it that it is there.
//
// They go to the cohort's group when it has the next hops that they want, or
// may be given them: when there is no group yet, or most of its routes are
// among those that move. The others then step aside to plain routes first.
// Otherwise those that move do, until they agree with their cohort again.
func (d *Driver) choose(p *plan, t *task, moves part) *target {
	h := p.look.holds[moves.of.index]
	moving := 0
	if h.group != 0 {
		p.eachEntry(moves.prefixes, func(_ netip.Prefix, have []entry) {
			if d.onGroup(have, h.group) {
				moving++
			}
		})
	}
	to := &target{hops: t.to}
	switch {
	case !d.shares(moves.of), !p.paths.lead(t.to):
		p.left = p.left || moving > 0 && moving == h.joined
	case h.group == 0:
		to.object = d.makeGroup(p, t, moves.of)
	case slices.Equal(p.hopsOf(h.group), t.to):
		to.object = h.group
		p.groups[h.group] = t.to // where it stays: another task must not take along those that join
	case 2*moving > h.joined && p.groups[h.group] == nil:
		d.stepAside(p, t, moves)
		d.moveGroup(p, t, h.group)
		to.object = h.group
	}
	return to
}

func (d *Driver) onGroup(have []entry, group uint32) bool {
	return slices.ContainsFunc(have, func(e entry) bool { return e.nexthopID == group && d.ours(e) && d.sameKey(e) })
}

// stepAside plans plain routes for the prefixes of the cohort that do not move
// with its group.
func (d *Driver) stepAside(p *plan, t *task, moves part) {
	group := p.look.holds[moves.of.index].group
	to := &target{hops: p.look.groupHops(group)}
	moving := make(map[netip.Prefix]bool, len(moves.prefixes))
	for _, prefix := range moves.prefixes {
		moving[prefix] = true
	}
	p.eachEntry(moves.of.prefixes, func(prefix netip.Prefix, have []entry) {
		if !moving[prefix] && d.onGroup(have, group) {
			p.aside = append(p.aside, write{task: t, prefix: prefix, to: to, flags: unix.NLM_F_REPLACE})
		}
	})
}

// planWrite plans an Add or Replace for one prefix. Which of the two makes no
// difference: the kernel's table says whether there is something to replace,
// and whose it is.
//
// Of several entries with our key, which IPv4 allows, the kernel replaces the
// first, and refuses to replace it by one that already stands further down.
func (d *Driver) planWrite(p *plan, t *task, prefix netip.Prefix, have []entry, to *target) {
	c := t.change
	at := slices.IndexFunc(have, d.sameKey)
	standing := slices.IndexFunc(have, func(e entry) bool { return d.stands(p, e, to) })
	if at >= 0 && !d.ours(have[at]) && !c.Adopt {
		t.refuse(prefix, fmt.Errorf("a foreign route stands there: %s; remove it, or let the router adopt it (adopt: true)", d.words(p.look, have[at])))
		return
	}
	for i, e := range have {
		adopted := c.Adopt && !d.ours(e) && e.metric <= d.metric(e.family())
		if adopted && e.protocol == unix.RTPROT_KERNEL {
			t.refuse(prefix, fmt.Errorf("the prefix is a connected network of this machine (%s), which cannot be adopted; "+
				"remove its address from the interface", d.words(p.look, e)))
			return
		}
		replaced := standing < 0 && i == at
		if i != standing && !replaced && (d.ours(e) || adopted) {
			p.clean = append(p.clean, write{task: t, prefix: prefix, old: e.shape})
		}
	}
	if standing >= 0 {
		return
	}
	w := write{task: t, prefix: prefix, to: to, flags: unix.NLM_F_EXCL}
	if at >= 0 {
		w.flags = unix.NLM_F_REPLACE
	}
	p.write = append(p.write, w)
}

// stands reports whether an entry is the route that is to be written.
func (d *Driver) stands(p *plan, e entry, to *target) bool {
	f := d.face(p.look, e.shape)
	return f.proper && e.nexthopID == to.object && (to.object != 0 || slices.Equal(f.nextHops, to.hops))
}

// words describes an entry for an error.
func (d *Driver) words(l *look, e entry) string {
	f := d.face(l, e.shape)
	detail := e.detail(f, d.requests.interfaceNames())
	if len(f.nextHops) > 0 {
		return "via " + steer.FormatNextHops(f.nextHops) + " " + detail
	}
	return detail
}

// normal is how next hops read back: sorted, and of weight 1 if single.
func normal(hops []steer.NextHop) []steer.NextHop {
	hops = slices.Clone(hops)
	if len(hops) == 1 {
		hops[0].Weight = 1
	}
	steer.SortNextHops(hops)
	return hops
}
