package probe

import "time"

// A schedule says when the checks of one target start. It is pure: random is
// the only outside, and gives a number in [0, 1).
type schedule struct {
	interval time.Duration
	fast     time.Duration
	random   func() float64

	began   time.Time // the last check's start
	ended   time.Time // the last check's end
	settled bool      // the interval, not the fast one, was used last
	calm    float64   // the next pause by interval, as a share of it
}

// first is when the first check starts: soon, so that a verdict is known soon,
// but not all targets at once.
func (s *schedule) first(now time.Time) time.Time {
	return now.Add(time.Duration(s.random() * float64(s.fast)))
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
// start, but not before its end. Calling it again, with another doubt, is fine.
func (s *schedule) next(doubt bool) time.Time {
	pause := time.Duration(s.calm * float64(s.interval))
	if doubt {
		pause = s.fast
	} else if !s.settled {
		pause = max(pause, s.fast)
	}
	if next := s.began.Add(pause); next.After(s.ended) {
		return next
	}
	return s.ended
}

// start notes that a check starts now, paced with or without doubt.
func (s *schedule) start(doubt bool) { s.settled = !doubt }
