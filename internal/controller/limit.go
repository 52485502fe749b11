package controller

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A limit bounds how many prefixes failures move on a router within a time: what
// is wrong with the verdicts, or with a slow router, must not become a storm. What
// people ask for, and what adds a route where there is none, is not bounded.
type limit struct {
	topology.ChangeLimit
	made    []state.Moves         // within the last Per, the oldest first
	refused map[netip.Prefix]bool // what the router refused, and has not taken since: others come first
}

// A limitError says that moves wait.
type limitError struct {
	limit topology.ChangeLimit
	held  []steer.Change
	until time.Time // when some of them may be made
}

func (e *limitError) Error() string {
	return fmt.Sprintf("%d prefixes wait for their failover: change_limit lets %d move in %s, the next of them at %s",
		steer.Prefixes(e.held), e.limit.Changes, e.limit.Per, e.until.Format(time.TimeOnly))
}

// limited reports whether the limit is about a change.
func limited(change steer.Change) bool { return change.Failure && change.Op != steer.Add }

// hold returns the changes that may be made now, and an error for the others; nil
// if there are none.
func (l *limit) hold(changes []steer.Change, now time.Time) ([]steer.Change, *limitError) {
	if l.Changes == 0 {
		return changes, nil
	}
	may, held := l.share(changes, l.Changes-l.within(now)), []steer.Change(nil)
	rest := make([]steer.Change, 0, len(changes))
	for i, change := range changes {
		switch n := len(change.Prefixes); {
		case may[i] == n:
			rest = append(rest, change)
		case may[i] > 0:
			rest = append(rest, change.For(change.Prefixes[:may[i]]...))
			held = append(held, change.For(change.Prefixes[may[i]:]...))
		default:
			held = append(held, change)
		}
	}
	if len(held) == 0 {
		return rest, nil
	}
	return rest, &limitError{l.ChangeLimit, held, l.next(now)}
}

// share says how many prefixes of each change may move, if there is room for so many.
func (l *limit) share(changes []steer.Change, room int) []int {
	may := make([]int, len(changes))
	for _, refused := range []bool{false, true} {
		for i, change := range changes {
			n := len(change.Prefixes)
			switch {
			case l.refuses(change) != refused:
			case !limited(change):
				may[i] = n
			default:
				may[i] = min(n, max(room, 0))
				room -= may[i]
			}
		}
	}
	return may
}

// refuses reports whether the router refused any of the change.
func (l *limit) refuses(change steer.Change) bool {
	return len(l.refused) > 0 && slices.ContainsFunc(change.Prefixes, func(p netip.Prefix) bool { return l.refused[p] })
}

// within counts the prefixes that were moved within the last Per, and forgets
// others.
func (l *limit) within(now time.Time) int {
	for len(l.made) > 0 && now.Sub(l.made[0].At) >= l.Per {
		l.made = l.made[1:]
	}
	n := 0
	for _, m := range l.made {
		n += m.Prefixes
	}
	return n
}

// next is when there is room again.
func (l *limit) next(now time.Time) time.Time {
	if len(l.made) == 0 {
		return now.Add(l.Per) // after what is moved now
	}
	return l.made[0].At.Add(l.Per)
}

// count notes changes that were made, or may have been, and what was refused of those
// that were tried.
func (l *limit) count(made []steer.Change, refused map[netip.Prefix]bool, now time.Time) {
	if l.Changes == 0 {
		return
	}
	if l.refused == nil {
		l.refused = map[netip.Prefix]bool{}
	}
	maps.Copy(l.refused, refused)
	n := 0
	for _, change := range made {
		for _, prefix := range change.Prefixes {
			delete(l.refused, prefix)
		}
		if limited(change) {
			n += len(change.Prefixes)
		}
	}
	if n > 0 {
		l.made = append(l.made, state.Moves{At: now, Prefixes: n})
	}
}
