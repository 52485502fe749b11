package health_test

import (
	"testing"

	"github.com/routesteer/routesteer/health"
)

func TestPace(t *testing.T) {
	for _, c := range []struct {
		name    string
		state   health.State
		carries bool
		want    health.Pace
	}{
		{"nothing is known yet", health.State{}, false, health.Fast},
		{"a standby that is well", health.State{Verdict: health.Up}, false, health.Slow},
		{"a standby that failed once", health.State{Verdict: health.Up, Streak: 1}, false, health.Fast},
		{"a standby that is down", health.State{Verdict: health.Down}, false, health.Regular},
		{"a standby that rises", health.State{Verdict: health.Down, Streak: 1}, false, health.Fast},
		{"who carries traffic", health.State{Verdict: health.Up}, true, health.Regular},
		{"who carries traffic and failed once", health.State{Verdict: health.Up, Streak: 1}, true, health.Fast},
		{"who carries traffic and is down", health.State{Verdict: health.Down}, true, health.Regular},
	} {
		if got := c.state.Pace(c.carries); got != c.want {
			t.Errorf("%s: pace %d, want %d", c.name, got, c.want)
		}
	}
}
