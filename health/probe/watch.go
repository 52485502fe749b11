package probe

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// A watch holds an idle TCP connection to a service. When the process dies its
// kernel closes the connection at once, and the target's burst of checks finds
// out what that means. A server that merely closes idle connections passes the
// burst; the pauses before the next connection grow until they are a tenth of
// its patience.
type watch struct {
	target *target
	which  int // of the round's aims
	port   uint16
	leash  leash
	passed chan struct{} // a check has passed
}

func newWatch(t *target, which int, port uint16) *watch {
	return &watch{target: t, which: which, port: port, passed: make(chan struct{}, 1)}
}

// tell says that a check has passed. It never waits.
func (w *watch) tell() {
	select {
	case w.passed <- struct{}{}:
	default:
	}
}

// run watches until ctx is done and the leash has ended. A connection is only
// tried after a check has passed.
func (w *watch) run(ctx context.Context) {
	pause := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.passed:
		}
		if !rest(ctx, pause) {
			return
		}
		since := time.Now()
		told := w.hold()
		if ctx.Err() != nil {
			return
		}
		pause = backoff(pause, time.Since(since))
		if told {
			w.sound()
		}
	}
}

// sound asks the target for a burst. A pass of before says nothing any more.
func (w *watch) sound() {
	select {
	case <-w.passed:
	default:
	}
	if !w.target.leash.cutForBurst() {
		return // one is running
	}
	select {
	case w.target.alarm <- struct{}{}:
	default:
	}
}

// backoff is the pause before the next connection, after one that lived so long.
func backoff(pause, lived time.Duration) time.Duration {
	switch {
	case lived >= 10*maxBackoff:
		return minBackoff
	case lived >= 10*pause && pause > 0:
		return pause
	default:
		return min(max(2*pause, minBackoff), maxBackoff)
	}
}

// rest waits; it reports false when ctx is done.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// hold connects and waits for the end of the connection. It reports whether
// that, or a refusal, is news that a check should look into.
func (w *watch) hold() (told bool) {
	aims, err := w.target.aims()
	if err != nil {
		return false
	}
	timeout := w.target.check.Timeout
	c, err := w.target.prober.sockets.dial(&w.leash, aims[w.which], w.port, time.Now(), timeout, false)
	if err != nil {
		return wasRefused(err)
	}
	defer c.close()
	if err := c.waitConnected(); err != nil {
		return wasRefused(err)
	}
	if err := c.file.SetDeadline(time.Time{}); err != nil || w.leash.broken() {
		return false
	}
	return c.discard()
}

func wasRefused(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ECONNRESET)
}

// discard reads, and forgets, what a server says unasked, such as a greeting,
// until the connection ends. It reports whether the server ended it.
func (c *conn) discard() bool {
	var scrap [256]byte
	for {
		if _, err := c.file.Read(scrap[:]); err != nil {
			c.closed = errors.Is(err, io.EOF)
			return c.closed || errors.Is(err, unix.ECONNRESET)
		}
	}
}
