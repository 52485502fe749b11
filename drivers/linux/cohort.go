package linux

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// A cohort is prefixes of one family that always move together.
type cohort struct {
	index    int
	prefixes []netip.Prefix // sorted
}

// A holding is what the kernel has for one cohort.
type holding struct {
	entries int    // routes for its prefixes, whosever
	group   uint32 // the nexthop object that is the cohort's alone; 0 for none
	joined  int    // routes that are on it, each as we write it
}

// shares reports whether a cohort's routes should point at an object of its
// own. A lone prefix needs one only for what a plain route cannot do.
func (d *Driver) shares(c *cohort) bool {
	return !d.plainOnly && (len(c.prefixes) > 1 || d.cfg.Resilient)
}

// whole returns the cohort whose prefixes are those of the change, or nil.
func (d *Driver) whole(c steer.Change) *cohort {
	of := d.cohorts[c.Prefixes[0]]
	if of == nil || len(of.prefixes) != len(c.Prefixes) {
		return nil
	}
	if &of.prefixes[0] != &c.Prefixes[0] && !slices.Equal(of.prefixes, c.Prefixes) {
		return nil
	}
	return of
}

// holdings finds each cohort's group: of the groups that routes of the cohort
// point at, and no other route that we know of, the one that most of them do.
// One that other routes use as well is nobody's, because to move it would
// move them.
func (d *Driver) holdings(l *look) []holding {
	var (
		holds = make([]holding, len(d.all))
		users = map[uint32]*cohort{} // of each group; nil for several
		count = map[uint32]int{}
	)
	for id := range l.strangers {
		users[id] = nil
	}
	for _, e := range l.entries {
		c := d.cohorts[e.prefix]
		holds[c.index].entries++
		if e.nexthopID == 0 {
			continue
		}
		user, used := users[e.nexthopID]
		if used && user != c || !d.face(l, e.shape).proper {
			c = nil
		}
		users[e.nexthopID] = c
		count[e.nexthopID]++
	}
	for id, c := range users {
		if c == nil || !d.shares(c) || !l.objects.usable(id, d.cfg.Protocol, d.cfg.Resilient) {
			continue
		}
		h := &holds[c.index]
		if count[id] > h.joined || count[id] == h.joined && id < h.group {
			h.group, h.joined = id, count[id]
		}
	}
	return holds
}

// inPlace reports whether a proper route of ours is where it belongs: on its
// cohort's group, or, as long as it differs from it, by itself. One that
// could be on the group, or on one that could be made, is not.
func (d *Driver) inPlace(l *look, e entry, paths *paths) bool {
	c := d.cohorts[e.prefix]
	h := l.holds[c.index]
	f := d.face(l, e.shape)
	switch {
	case e.nexthopID != 0:
		return h.group != 0 && e.nexthopID == h.group
	case !d.shares(c):
		return true
	case h.group != 0:
		return !slices.Equal(f.nextHops, l.groupHops(h.group))
	default:
		return slices.ContainsFunc(f.hops, hop.troubled) || !paths.lead(f.nextHops)
	}
}

// troubled reports whether the kernel would refuse a nexthop object for it.
func (h hop) troubled() bool { return h.flags&(unix.RTNH_F_LINKDOWN|unix.RTNH_F_DEAD) != 0 }

// groupHops are the next hops of a group.
func (l *look) groupHops(id uint32) []steer.NextHop {
	hops, _, _ := l.objects.resolve(id)
	return nextHops(hops)
}
