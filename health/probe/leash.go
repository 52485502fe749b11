package probe

import (
	"sync"
	"time"
)

// A leash holds the connections of one round of checks, so that the round can
// be broken off from another goroutine. Its zero value is ready.
type leash struct {
	mu    sync.Mutex
	held  []canceller
	cut   bool // the round is broken off
	ended bool // the owner is closing: every round from now on is broken off
	proof bool // a burst is running: cutFor does nothing
}

// A canceller is what a leash holds: I/O that a deadline in the past ends.
type canceller interface{ SetDeadline(time.Time) error }

// hold puts c on the leash. It reports whether the round may go on.
func (l *leash) hold(c canceller) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut || l.ended {
		return false
	}
	l.held = append(l.held, c)
	return true
}

// release takes c off the leash.
func (l *leash) release(c canceller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, held := range l.held {
		if held == c {
			last := len(l.held) - 1
			l.held[i] = l.held[last]
			l.held[last] = nil
			l.held = l.held[:last]
			return
		}
	}
}

// broken reports whether the round was broken off.
func (l *leash) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut || l.ended
}

// cutForBurst breaks off the round in progress and those that begin before
// startBurst. It reports false, and does nothing, while a burst is running.
func (l *leash) cutForBurst() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proof {
		return false
	}
	l.cut = true
	l.breakOff()
	return true
}

func (l *leash) startBurst() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.proof = false, true
}

func (l *leash) endBurst() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proof = false
}

// end breaks off this and all further rounds.
func (l *leash) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.breakOff()
}

// breakOff needs the lock. Setting a deadline does no I/O.
func (l *leash) breakOff() {
	past := time.Unix(1, 0)
	for _, c := range l.held {
		_ = c.SetDeadline(past) // it fails when already closed: fine
	}
}
