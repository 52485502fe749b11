package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// A look is what the kernel has for our prefixes.
type look struct {
	news      uint64                  // the watch's count when it began
	entries   []entry                 // sorted by prefix; those of one prefix in the kernel's order
	objects   objects                 // all that there are
	singles   map[netip.Addr][]uint32 // those of ours for one next hop, by its address
	users     map[uint32][]uint32     // the groups that each is a member of
	strangers map[uint32]bool         // objects that routes for other prefixes of the table point at
	faces     map[*shape]*face        // as far as asked for
	holds     []holding               // of each cohort
}

// at returns the entries of one prefix: the lower metric first, and among
// equal metrics the one that gets the packets, and that NLM_F_REPLACE
// replaces. from is where to search first; the second result is where those
// of the next prefix are, so that prefixes in order are found at once.
func (l *look) at(p netip.Prefix, from int) ([]entry, int) {
	if from >= len(l.entries) || l.entries[from].prefix != p {
		from, _ = slices.BinarySearchFunc(l.entries, p, func(e entry, p netip.Prefix) int {
			return steer.ComparePrefix(e.prefix, p)
		})
	}
	end := from
	for end < len(l.entries) && l.entries[end].prefix == p {
		end++
	}
	return l.entries[from:end], end
}

// A face is what a shape comes to with the nexthop objects as they are.
type face struct {
	kind     uint8 // RTN_UNICAST, RTN_BLACKHOLE, …
	hops     []hop
	nextHops []steer.NextHop // the same as steer has them
	proper   bool            // as we would write it, to whichever next hops, through whichever object
}

// face takes the next hops of a route that points at a nexthop object from
// the object: the kernel spells them out in the route itself only with the
// sysctl net.ipv4.nexthop_compat_mode=1. One whose object has gone since is
// left as the kernel showed it.
func (d *Driver) face(l *look, s *shape) *face {
	if f := l.faces[s]; f != nil {
		return f
	}
	f := &face{kind: s.kind, hops: s.hops}
	if hops, reject, known := l.objects.resolve(s.nexthopID); known {
		f.hops = hops
		if reject {
			f.kind = unix.RTN_BLACKHOLE
		}
	}
	f.nextHops = nextHops(f.hops)
	f.proper = s.protocol == d.cfg.Protocol && s.metric == d.metric(s.family()) && s.tos == 0 && f.kind == unix.RTN_UNICAST &&
		!s.fancy && len(f.hops) > 0 && !slices.ContainsFunc(f.hops, hop.unusual)
	l.faces[s] = f
	return f
}

// current returns the last look while nothing that concerns us has come
// since, but what we did ourselves, or else a new one.
func (d *Driver) current(ctx context.Context) (*look, error) {
	if d.kept != nil && d.kept.news == d.watch.count() {
		return d.kept, nil
	}
	return d.look(ctx)
}

// look reads the table, and keeps what it saw.
func (d *Driver) look(ctx context.Context) (*look, error) {
	d.kept = nil
	l := &look{news: d.watch.count(), strangers: map[uint32]bool{}, faces: map[*shape]*face{}}
	if l.news != d.unfitAt {
		clear(d.unfit) // something has changed: it may be taken now
		d.unfitAt = l.news
	}
	err := d.requests.during(ctx, func() error {
		for _, family := range d.families {
			if err := d.readFamily(l, family); err != nil {
				return err
			}
		}
		var err error
		l.objects, err = d.requests.dumpObjects()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the kernel's routes of table %d: %w", d.cfg.Table, err)
	}
	byPrefix := func(a, b entry) int { return steer.ComparePrefix(a.prefix, b.prefix) }
	if !slices.IsSortedFunc(l.entries, byPrefix) {
		slices.SortStableFunc(l.entries, byPrefix)
	}
	l.index(d.cfg.Protocol)
	l.holds = d.holdings(l)
	d.kept = l
	return l, nil
}

// index sorts the objects.
func (l *look) index(protocol uint8) {
	l.singles, l.users = l.objects.singles(protocol), l.objects.users()
}

// readFamily adds the table's routes of one family.
func (d *Driver) readFamily(l *look, family uint8) error {
	var (
		start  = len(l.entries)
		shapes = map[string]*shape{}
		buffer []byte
	)
	reset := func() { l.entries = l.entries[:start] }
	err := d.requests.dump(dumpRoutes(family, d.cfg.Table), unix.RTM_NEWROUTE, reset, func(payload []byte) error {
		table, p, ok := routeKey(payload)
		if !ok || table != uint32(d.cfg.Table) {
			return nil
		}
		if d.cohorts[p] == nil {
			noteObject(payload, l.strangers) // who moves the object moves that route
			return nil
		}
		buffer = appendShape(buffer[:0], payload)
		s := shapes[string(buffer)]
		if s == nil {
			s = parseShape(table, slices.Clone(buffer))
			shapes[string(s.raw)] = s
		}
		l.entries = append(l.entries, entry{prefix: p, shape: s})
		return nil
	})
	if errors.Is(err, unix.ENOENT) { // the table has never had a route
		return nil
	}
	return err
}

// tell returns what Routes tells of the look.
func (d *Driver) tell(l *look) []steer.Route {
	var (
		routes  = make([]steer.Route, 0, len(l.entries))
		names   = d.requests.interfaceNames()
		details = map[*shape]string{}
		paths   = d.newPaths()
		proper  = false
	)
	for i, e := range l.entries {
		if i > 0 && l.entries[i-1].prefix != e.prefix {
			proper = false
		}
		if !d.ours(e) && (proper || e.metric > d.metric(e.family())) {
			continue // a fallback below ours
		}
		f := d.face(l, e.shape)
		if _, known := details[e.shape]; !known {
			details[e.shape] = e.detail(f, names)
		}
		r := steer.Route{Prefix: e.prefix, NextHops: f.nextHops, Foreign: !d.ours(e), Detail: details[e.shape]}
		if !r.Foreign {
			fits := f.proper && d.inPlace(l, e, paths)
			r.Stray = proper || !fits
			proper = proper || fits
		}
		routes = append(routes, r)
	}
	return routes
}

// links are the interfaces that routes for our prefixes use.
func (d *Driver) links(l *look) map[uint32]bool {
	links := map[uint32]bool{}
	for i, e := range l.entries {
		if i > 0 && l.entries[i-1].shape == e.shape {
			continue // as most are
		}
		for _, h := range d.face(l, e.shape).hops {
			links[h.iface] = true
		}
	}
	return links
}

func (d *Driver) ours(e entry) bool { return e.protocol == d.cfg.Protocol }

// sameKey reports whether e stands where our route for its prefix does.
func (d *Driver) sameKey(e entry) bool { return e.metric == d.metric(e.family()) && e.tos == 0 }

func (h hop) unusual() bool {
	return !h.gateway.IsValid() || h.addition || h.flags&unix.RTNH_F_ONLINK != 0
}
