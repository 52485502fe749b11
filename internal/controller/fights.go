package controller

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/steer"
)

const (
	fightLimit  = 5           // so many repairs of one prefix …
	fightWindow = time.Minute // … within this say that another program wants its route elsewhere
	quietFirst  = 5 * time.Minute
	quietLast   = time.Hour
)

// A fights counts the repairs of a router's routes, by prefix, and holds back
// those of a prefix that another program changes as often as we repair it:
// while two programs overwrite each other its traffic jumps, and neither wins.
//
// A prefix that is left alone is written again when other next hops are wanted,
// when an order says so, and when it has been quiet for quietFirst, be it as the
// other program wants it or as we do. That time
// doubles, up to quietLast, each time the fight goes on after it, and starts
// anew when the route is seen to change.
//
// Only prefixes that were repaired lately take memory or time.
type fights struct {
	repairs map[netip.Prefix]repairs
	left    map[netip.Prefix]leftAlone
	list    []netip.Prefix // of left, sorted; nil to make it anew; never changed
}

// A repairs is the latest repairs of one prefix.
type repairs struct {
	to    []steer.NextHop   // what the route was put back to
	times [fightLimit]int64 // in nanoseconds since 1970, the oldest at next; 0: none
	next  uint8
	last  int64         // when it was repaired, or tried again, last; as times
	pause time.Duration // of the last time it was left alone; 0: never
}

// A leftAlone is a prefix whose repairs are held back.
type leftAlone struct {
	to    []steer.NextHop // what is wanted
	found []steer.NextHop // what the router had last
	pause time.Duration
	until time.Time
}

func newFights() *fights {
	return &fights{repairs: map[netip.Prefix]repairs{}, left: map[netip.Prefix]leftAlone{}}
}

// clone is what may be asked without an effect on what is done.
func (f *fights) clone() *fights {
	return &fights{repairs: maps.Clone(f.repairs), left: maps.Clone(f.left), list: f.list}
}

// hold returns the changes without the prefixes that are left alone.
func (f *fights) hold(changes []steer.Change, now time.Time) []steer.Change {
	if len(f.left) == 0 {
		return changes
	}
	var rest []steer.Change
	fought := map[netip.Prefix]bool{}
	for _, change := range changes {
		held := f.among(change, now)
		for _, p := range held {
			fought[p] = true
		}
		switch len(held) {
		case 0:
			rest = append(rest, change)
		case len(change.Prefixes):
		default:
			rest = append(rest, change.For(without(change.Prefixes, held)...))
		}
	}
	f.yielded(fought, now)
	return rest
}

// yielded ends, after the same quiet time, what is left alone and yet as it is
// wanted: the other program has given in.
func (f *fights) yielded(fought map[netip.Prefix]bool, now time.Time) {
	for p, alone := range f.left {
		if !fought[p] {
			f.holds(p, alone.to, now)
		}
	}
}

// among returns the prefixes of a change that are left alone, sorted. It looks at
// the fewer of the two.
func (f *fights) among(change steer.Change, now time.Time) (held []netip.Prefix) {
	few := f.prefixes()
	if len(change.Prefixes) < len(few) {
		few = change.Prefixes
	}
	for _, p := range few {
		_, concerned := slices.BinarySearchFunc(change.Prefixes, p, steer.ComparePrefix)
		if concerned && f.holds(p, change.From, now) {
			held = append(held, p)
		}
	}
	return held
}

// holds reports whether the prefix, for which the router has found, is left
// alone, and ends that when it has been quiet for long enough.
func (f *fights) holds(p netip.Prefix, found []steer.NextHop, now time.Time) bool {
	alone, left := f.left[p]
	switch {
	case !left:
		return false
	case !slices.Equal(alone.found, found):
		alone.found, alone.until = found, now.Add(alone.pause)
		f.left[p] = alone
		return true
	case now.Before(alone.until):
		return true
	default:
		r := f.repairs[p]
		r.last = now.UnixNano()
		f.repairs[p] = r
		f.resume(p)
		return false
	}
}

// count notes changes that put routes right.
func (f *fights) count(made []steer.Change, now time.Time) {
	for _, change := range made {
		for _, p := range change.Prefixes {
			f.repaired(p, change.To, now)
		}
	}
}

func (f *fights) repaired(p netip.Prefix, to []steer.NextHop, now time.Time) {
	r := f.repairs[p]
	if !slices.Equal(r.to, to) {
		r = repairs{to: to}
	}
	r.last = now.UnixNano()
	r.times[r.next] = r.last
	r.next = (r.next + 1) % fightLimit
	if r.many(now) {
		r = repairs{to: to, last: now.UnixNano(), pause: min(max(2*r.pause, quietFirst), quietLast)}
		f.left[p] = leftAlone{to: to, found: to, pause: r.pause, until: now.Add(r.pause)}
		f.list = nil
	}
	f.repairs[p] = r
}

// many reports whether the last fightLimit repairs were within fightWindow.
func (r *repairs) many(now time.Time) bool {
	oldest := r.times[r.next]
	return oldest != 0 && now.UnixNano()-oldest <= int64(fightWindow)
}

// forget drops what no longer counts, so that a table that was flushed once
// takes no memory for ever. A fight that goes on after its quiet time does so
// soon after it.
func (f *fights) forget(now time.Time) {
	for p, r := range f.repairs {
		age := now.UnixNano() - r.last
		if _, left := f.left[p]; !left && age > int64(max(fightWindow, r.pause)) {
			delete(f.repairs, p)
		}
	}
	if len(f.repairs) == 0 {
		f.repairs = map[netip.Prefix]repairs{} // a map keeps what it once took
	}
}

// ordered takes in a new order: what it wants otherwise than before, and what
// it asks to try again, is written again.
func (f *fights) ordered(o order, terms steer.Terms) {
	for p, alone := range f.left {
		if o.retry[p] || !slices.Equal(terms.NextHops(o.want.Of(p)), alone.to) {
			delete(f.repairs, p)
			f.resume(p)
		}
	}
}

func (f *fights) resume(p netip.Prefix) {
	delete(f.left, p)
	f.list = nil
}

// prefixes are those that are left alone, sorted. The caller changes none.
func (f *fights) prefixes() []netip.Prefix {
	if f.list == nil && len(f.left) > 0 {
		for p := range f.left {
			f.list = append(f.list, p)
		}
		slices.SortFunc(f.list, steer.ComparePrefix)
	}
	return f.list
}
