package health

import (
	"fmt"
	"time"

	"github.com/routesteer/routesteer/topology"
)

const (
	// flapWindow is how soon after a fall another one counts as flapping.
	flapWindow = 5 * time.Minute
	// maxDamping bounds the doublings of rise: 2^5 = 32 times the check's own.
	maxDamping = 5
)

type entry struct {
	check counts
	State
	falls  int       // recent falls beyond the first: doublings of rise
	unsure int       // results seen while Unknown
	floor  time.Time // checks that began before this say nothing: a loss came after
	agent  *spoken   // nil if no agent has spoken
}

// counts are a check's own.
type counts struct{ Rise, Fall int }

func newEntry(check topology.Check) entry {
	return entry{check: counts{check.Rise, check.Fall}, State: State{Rise: check.Rise, Needed: check.Rise}}
}

func (e *entry) passesNeeded(from Verdict) int {
	if from == Unknown {
		return e.check.Rise
	}
	return e.Rise
}

// take counts one result and reports whether it flipped the verdict.
func (e *entry) take(r Result) bool {
	e.LastCheck, e.Took, e.Notice = r.Started, r.Took, r.Notice
	if e.Verdict != Unknown && r.OK() == (e.Verdict == Up) {
		e.Streak = 0
		if !r.OK() {
			e.Why = r.Failure
		} else {
			e.Why = ""
		}
		return false
	}
	// While Unknown, a result of the other kind starts the count anew.
	if e.Verdict == Unknown && e.Streak > 0 && r.OK() != (e.Why == "") {
		e.Streak = 0
	}
	e.Streak++
	if e.Verdict == Unknown {
		e.unsure++
	}
	if e.Verdict != Down || !r.OK() {
		e.Why = r.Failure
	}
	e.Needed = e.check.Fall
	if r.OK() {
		e.Needed = e.Rise
	}
	if e.Streak < e.Needed {
		return e.giveUp(r)
	}
	if r.OK() {
		e.set(Up, r.Started.Add(r.Took), "")
	} else {
		e.fall(r.Started.Add(r.Took), r.Failure)
	}
	return true
}

// giveUp ends an Unknown that results of both kinds would keep for ever:
// whoever waits for the verdict must get one.
func (e *entry) giveUp(r Result) bool {
	if e.Verdict != Unknown || r.OK() || e.unsure < 2*(e.check.Rise+e.check.Fall) {
		return false
	}
	e.fall(r.Started.Add(r.Took), fmt.Sprintf("unsteady from the start: %s", r.Failure))
	return true
}

// fall brings the verdict down and, if it fell not long ago, makes it harder
// to rise again.
func (e *entry) fall(at time.Time, why string) {
	if e.Verdict == Up {
		switch {
		case e.Fell.IsZero() || at.Sub(e.Fell) > flapWindow:
			e.falls = 0
		case e.falls < maxDamping:
			e.falls++
		}
		e.Fell = at
		e.Rise = e.check.Rise << e.falls
	}
	e.set(Down, at, why)
}

func (e *entry) set(verdict Verdict, at time.Time, why string) {
	if e.Verdict != verdict {
		e.Since = at
	}
	e.Verdict, e.Why, e.Streak = verdict, why, 0
	if verdict == Up {
		e.Needed = e.check.Fall
	} else {
		e.Needed = e.Rise
	}
}
