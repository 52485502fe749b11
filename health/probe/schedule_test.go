package probe

import (
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

func TestSchedule(t *testing.T) {
	check := topology.Check{Interval: time.Second, FastInterval: 200 * time.Millisecond, StandbyInterval: 10 * time.Second}
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		name         string
		settled      bool // before
		random       float64
		began, ended int
		pace         health.Pace
		want         int
	}{
		{"in doubt: fast, from start to start", false, 0.5, 0, 50, health.Fast, 200},
		{"a slow check delays the next to its end", false, 0.5, 0, 450, health.Fast, 450},
		{"calm for the first time: anywhere in the interval", false, 0.7, 0, 50, health.Regular, 700},
		{"but not faster than fast", false, 0.01, 0, 50, health.Regular, 200},
		{"calm: the interval less 5 %", true, 0, 0, 50, health.Regular, 950},
		{"calm: the interval", true, 0.5, 0, 50, health.Regular, 1000},
		{"standby: its own interval", true, 0.5, 0, 50, health.Slow, 10000},
		{"standby for the first time: anywhere in its interval", false, 0.3, 0, 50, health.Slow, 3000},
		{"doubt again: fast at once", true, 0.5, 0, 50, health.Fast, 200},
	} {
		s := schedule{check: check, random: func() float64 { return c.random }, settled: c.settled}
		s.checked(at(c.began), at(c.ended))
		if got := s.next(c.pace); got.Sub(at(c.want)).Abs() > time.Microsecond {
			t.Errorf("%s: next at %s, want %d ms", c.name, got.Sub(start), c.want)
		}
	}
	s := schedule{check: check, random: func() float64 { return 0.5 }}
	if got := s.first(start); !got.Equal(at(100)) {
		t.Errorf("first at %s, want within the fast interval", got.Sub(start))
	}
}
