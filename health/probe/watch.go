package probe

import (
	"errors"
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
// its patience. The loop uses it.
//
//	waiting ── a check passes ──► pausing ──► connecting ──► holding
//	   ▲                                          │             │
//	   └──────────────── lost: alarm ─────────────┴─────────────┘
type watch struct {
	target *target
	which  int // of the target's aims
	port   uint16
	state  watchState
	fd     int           // while connecting or holding
	pause  time.Duration // before the next connection
	since  time.Time     // when the connection was started
	timer  timer
}

type watchState uint8

const (
	waiting    watchState = iota // for a check to pass
	pausing                      // before connecting
	connecting                   // for the handshake
	holding                      // the connection
)

func newWatch(t *target, which int, port uint16) *watch {
	w := &watch{target: t, which: which, port: port, fd: -1}
	w.timer.fire = w.due
	return w
}

// passed is told that a check has passed: a connection is worth a try.
func (w *watch) passed() {
	if w.state == waiting {
		w.state = pausing
		w.target.prober.loop.arm(&w.timer, time.Now().Add(w.pause))
	}
}

// due is called by the timer.
func (w *watch) due() {
	switch w.state {
	case pausing:
		w.connect()
	case connecting: // a full timeout: checks judge that better
		w.lost(false)
	case waiting, holding:
	default:
		panic("probe: no such state of a watch")
	}
}

func (w *watch) connect() {
	w.state, w.since = connecting, time.Now()
	aims, _, err := w.target.aims(w.target.used())
	if err != nil {
		w.lost(false)
		return
	}
	fd, err := w.target.prober.sockets.connect(aims[w.which], w.port, false)
	if err != nil {
		w.lost(wasRefused(err))
		return
	}
	w.fd = fd
	if err := w.target.prober.loop.add(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP, w); err != nil {
		w.lost(false)
		return
	}
	w.target.prober.loop.arm(&w.timer, w.since.Add(w.target.check.Timeout))
}

// ready is told of the handshake, of bytes, and of the end.
func (w *watch) ready(uint32) {
	if w.state == connecting {
		done, err := handshake(w.fd)
		if err != nil {
			w.lost(wasRefused(err))
			return
		}
		if !done {
			return
		}
		w.state = holding
		w.target.prober.loop.disarm(&w.timer)
	}
	w.listen()
}

// listen forgets what a server says unasked, such as a greeting, and notices
// the end of the connection.
func (w *watch) listen() {
	in := w.target.prober.loop.in
	for {
		n, err := unix.Read(w.fd, in)
		switch {
		case errors.Is(err, unix.EINTR), n > 0:
		case errors.Is(err, unix.EAGAIN):
			return
		case err == nil, wasRefused(err):
			w.lost(true)
			return
		default:
			w.lost(false)
			return
		}
	}
}

func wasRefused(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ECONNRESET)
}

// lost ends a connection. news says that checks should look into it.
func (w *watch) lost(news bool) {
	w.drop()
	w.pause = backoff(w.pause, time.Since(w.since))
	if news {
		w.target.alarm()
	}
}

// drop closes what there is; the next pass starts anew.
func (w *watch) drop() {
	w.target.prober.loop.disarm(&w.timer)
	if w.fd >= 0 {
		w.target.prober.loop.close(w.fd)
		w.fd = -1
	}
	w.state = waiting
}

// backoff is the pause before the next connection, after one that lived so long.
func backoff(pause, lived time.Duration) time.Duration {
	switch {
	case lived >= 10*maxBackoff:
		return minBackoff
	case pause > 0 && lived >= 10*pause:
		return pause
	default:
		return min(max(2*pause, minBackoff), maxBackoff)
	}
}
