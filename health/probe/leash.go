package probe

import (
	"slices"
	"sync"
	"time"
)

// A leash holds what one check waits on, so that the check can be broken off
// from another goroutine. Its zero value is ready.
type leash struct {
	mu    sync.Mutex
	held  []canceller
	ended bool
}

// A canceller is I/O that a deadline in the past ends.
type canceller interface{ SetDeadline(time.Time) error }

// hold puts c on the leash. It reports whether the check may go on.
func (l *leash) hold(c canceller) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.held = append(l.held, c)
	}
	return !l.ended
}

// release takes c off the leash, if it is on it.
func (l *leash) release(c canceller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = slices.DeleteFunc(l.held, func(held canceller) bool { return held == c })
}

// broken reports whether the check was broken off.
func (l *leash) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// end breaks the check off. It never waits: setting a deadline does no I/O.
func (l *leash) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, c := range l.held {
		_ = c.SetDeadline(time.Unix(1, 0)) // it fails when already closed: fine
	}
}
