package probe

import (
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	const interval, fast = 1000 * time.Millisecond, 200 * time.Millisecond
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		name         string
		settled      bool // before
		random       float64
		began, ended int
		doubt        bool
		want         int
	}{
		{"in doubt: fast, from start to start", false, 0.5, 0, 50, true, 200},
		{"a slow check delays the next to its end", false, 0.5, 0, 450, true, 450},
		{"calm for the first time: anywhere in the interval", false, 0.7, 0, 50, false, 700},
		{"but not faster than fast", false, 0.01, 0, 50, false, 200},
		{"calm: the interval less 5 %", true, 0, 0, 50, false, 950},
		{"calm: the interval", true, 0.5, 0, 50, false, 1000},
		{"doubt again: fast at once", true, 0.5, 0, 50, true, 200},
	} {
		s := schedule{interval: interval, fast: fast, random: func() float64 { return c.random }, settled: c.settled}
		s.checked(at(c.began), at(c.ended))
		if got := s.next(c.doubt); got.Sub(at(c.want)).Abs() > time.Microsecond {
			t.Errorf("%s: next at %s, want %d ms", c.name, got.Sub(start), c.want)
		}
	}
	s := schedule{interval: interval, fast: fast, random: func() float64 { return 0.5 }}
	if got := s.first(start); !got.Equal(at(100)) {
		t.Errorf("first at %s, want within the fast interval", got.Sub(start))
	}
}
