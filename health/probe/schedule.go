package probe

import (
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A schedule says when the checks of one target start. It is pure: random is
// the only outside, and gives a number in [0, 1).
type schedule struct {
	check  topology.Check // its intervals
	random func() float64

	began   time.Time // the last check's start
	ended   time.Time // the last check's end
	settled bool      // another interval than the fast one was used last
	calm    float64   // the next pause by another interval, as a share of it
}

// first is when the first check starts: soon, so that a verdict is known soon,
// but not all targets at once.
func (s *schedule) first(now time.Time) time.Time {
	return now.Add(time.Duration(s.random() * float64(s.check.FastInterval)))
}

// checked notes a check.
func (s *schedule) checked(began, ended time.Time) {
	s.began, s.ended = began, ended
	// ±5 % keeps targets from marching in step.
	s.calm = 0.95 + 0.1*s.random()
	if !s.settled {
		// All targets settle at about the same time after a start: their first
		// pause spreads them over the interval.
		s.calm = s.random()
	}
}

// next is when the check after that starts: a pause after the last one's
// start, but not before its end. Calling it again, with another pace, is fine: who
// was slow and is not any more is checked at once if that is due by now.
func (s *schedule) next(pace health.Pace) time.Time {
	pause := time.Duration(s.calm * float64(s.interval(pace)))
	if pace == health.Fast {
		pause = s.check.FastInterval
	} else if !s.settled {
		pause = max(pause, s.check.FastInterval)
	}
	if next := s.began.Add(pause); next.After(s.ended) {
		return next
	}
	return s.ended
}

// interval is what lies between the starts of checks at that pace.
func (s *schedule) interval(pace health.Pace) time.Duration {
	switch pace {
	case health.Fast:
		return s.check.FastInterval
	case health.Slow:
		return s.check.StandbyInterval
	default:
		return s.check.Interval
	}
}

// start notes that a check starts now, at that pace.
func (s *schedule) start(pace health.Pace) { s.settled = pace != health.Fast }
