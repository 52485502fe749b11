package controller

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// TestAtMostSoManyPrefixesMoveInATime holds that whatever is asked for, failures
// move no more prefixes in any stretch of that length, that nothing else is held
// back, that nothing is lost, and that what waits is let through when it is said.
func TestAtMostSoManyPrefixesMoveInATime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &limit{ChangeLimit: topology.ChangeLimit{Changes: rapid.IntRange(1, 8).Draw(t, "changes"), Per: time.Minute}}
		now := time.Date(2026, 11, 28, 5, 0, 0, 0, time.UTC)
		var moved []state.Moves
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "pause")) * time.Second)
			changes := drawChanges(t)
			kept, held := l.hold(changes, now)
			free, all, may := 0, steer.Prefixes(changes), 0
			for _, change := range changes {
				if !limited(change) {
					free += len(change.Prefixes)
				}
			}
			for _, change := range kept {
				if limited(change) {
					may += len(change.Prefixes)
				}
			}
			waiting := 0
			if held != nil {
				waiting = steer.Prefixes(held.held)
			}
			if steer.Prefixes(kept)+waiting != all || steer.Prefixes(kept)-may != free {
				t.Fatalf("of %d prefixes, %d of them free, %d are let through and %d wait", all, free, steer.Prefixes(kept), waiting)
			}
			l.count(kept, nil, now)
			moved = append(moved, state.Moves{At: now, Prefixes: may})
			within := 0
			for _, m := range moved {
				if now.Sub(m.At) < l.Per {
					within += m.Prefixes
				}
			}
			if within > l.Changes {
				t.Fatalf("%d prefixes within %s, the limit is %d", within, l.Per, l.Changes)
			}
			if held != nil {
				future := *l
				if again, _ := future.hold(changes, held.until); held.until.Before(now) || steer.Prefixes(again) == free {
					t.Fatalf("at %s still nothing may move", held.until)
				}
			}
		}
	})
}

func drawChanges(t *rapid.T) []steer.Change {
	var changes []steer.Change
	for i := range rapid.IntRange(0, 4).Draw(t, "changes") {
		c := steer.Change{
			Op:      rapid.SampledFrom([]steer.Op{steer.Add, steer.Replace, steer.Remove}).Draw(t, "op"),
			Failure: rapid.Bool().Draw(t, "failure"),
		}
		for j := range rapid.IntRange(1, 5).Draw(t, "prefixes") {
			c.Prefixes = append(c.Prefixes, netip.MustParsePrefix(fmt.Sprintf("203.0.%d.%d/32", i, j)))
		}
		changes = append(changes, c)
	}
	return changes
}
