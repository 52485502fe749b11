package health

import (
	"time"

	"github.com/routesteer/routesteer/topology"
)

// UpAt is when a target that is down would be up again at the earliest: if all of
// its checks passed from the next one on, and took no time. It is zero for one that
// is not down, or that was never checked.
func (s State) UpAt(check topology.Check) time.Time {
	if s.Verdict != Down || s.LastCheck.IsZero() {
		return time.Time{}
	}
	more := max(s.Needed-s.Streak, 1) // passes that are missing
	next := check.Interval
	if s.InDoubt() {
		next = check.FastInterval
	}
	return s.LastCheck.Add(next + time.Duration(more-1)*check.FastInterval)
}

// Damping is how many times as many passes as the check asks for it takes to rise,
// because the target has flapped; 1 for one that has not.
func (s State) Damping(check topology.Check) int { return max(1, s.Rise/max(1, check.Rise)) }
