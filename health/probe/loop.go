package probe

import (
	"container/heap"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A loop is one goroutine that does the plain checks, the watches and the pacing
// of all targets by epoll(7). A goroutine for each target is simpler to write,
// but waking one costs as much as the check that it makes: with Go's own poller
// a check took 1.9 times the CPU of HAProxy's, by a loop it takes as much.
//
// Everything that belongs to targets, checks and watches is used by this
// goroutine only. Others reach it by post.
type loop struct {
	epoll  int
	gate   *gate // around epoll
	bell   int   // an eventfd that ends waiting
	in     []byte
	timers timerHeap
	at     []registration // by file descriptor
	epoch  time.Time      // from which armAbout counts
	quit   bool

	checking int // rounds in progress
	done     chan struct{}

	mu    sync.Mutex
	jobs  []func()
	rung  bool // the bell is ringing
	ended bool
}

// A handler is told that its file descriptor is ready. Readiness comes at
// edges: it must do all that can be done.
type handler interface{ ready(events uint32) }

// A registration is of one use of a file descriptor number: events of an earlier
// use, in the same batch, are told apart by generation.
type registration struct {
	handler    handler
	generation int32
}

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make an eventfd: %w", err), unix.Close(epoll))
	}
	gate, err := newGate(epoll)
	if err != nil {
		return nil, errors.Join(err, unix.Close(bell), unix.Close(epoll))
	}
	l := &loop{epoll: epoll, gate: gate, bell: bell, in: make([]byte, 16<<10), epoch: time.Now(), done: make(chan struct{})}
	if err := l.add(bell, unix.EPOLLIN, bellHandler{l}); err != nil {
		l.free()
		return nil, err
	}
	return l, nil
}

// post has f run by the loop, unless that has ended. It never waits.
func (l *loop) post(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.jobs = append(l.jobs, f)
	if l.rung {
		return
	}
	l.rung = true
	// The counter is far from full; nothing else can fail.
	_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// bellHandler runs what was posted.
type bellHandler struct{ loop *loop }

func (b bellHandler) ready(uint32) {
	var count [8]byte
	_, _ = unix.Read(b.loop.bell, count[:]) // only to silence it
	b.loop.mu.Lock()
	jobs := b.loop.jobs
	b.loop.jobs, b.loop.rung = nil, false
	b.loop.mu.Unlock()
	for _, job := range jobs {
		job()
	}
}

// stop ends the loop and waits for it.
func (l *loop) stop() {
	l.post(func() { l.quit = true })
	<-l.done
}

// run is the loop. What has arrived is handled before timers are: what came in
// time must not be judged late.
func (l *loop) run() {
	defer close(l.done)
	defer l.free()
	events := make([]unix.EpollEvent, 256)
	for !l.quit {
		n := l.wait(events)
		for _, e := range events[:n] {
			r := &l.at[e.Fd]
			if r.handler != nil && r.generation == e.Pad {
				r.handler.ready(e.Events)
			}
		}
		if n < len(events) {
			l.fire()
		}
	}
}

// longWait is from when on Go's poller waits better than we, in milliseconds.
const longWait = 8

// wait waits for events or the next timer. A short wait is cheapest in
// epoll_wait itself. In a long one, that would keep the Go scheduler's monitor
// awake, which sees a processor in a system call: on an idle site it used three
// quarters of our CPU time.
func (l *loop) wait(events []unix.EpollEvent) int {
	patience := l.patience()
	if l.checking > 0 || 0 <= patience && patience < longWait {
		return l.poll(events, patience)
	}
	deadline := time.Time{}
	if patience > 0 {
		deadline = l.timers[0].at
	}
	return l.gate.wait(deadline, func() int { return l.poll(events, 0) })
}

// poll is epoll_wait.
func (l *loop) poll(events []unix.EpollEvent, patience int) int {
	n, err := unix.EpollWait(l.epoll, events, patience)
	if err != nil && !errors.Is(err, unix.EINTR) {
		panic("probe: epoll_wait: " + err.Error()) // only we close it
	}
	return max(n, 0)
}

// patience is the time to the next timer, in whole milliseconds from above:
// checks that are due within one start together, which is what makes many cheap.
func (l *loop) patience() int {
	if len(l.timers) == 0 {
		return -1
	}
	wait := time.Until(l.timers[0].at)
	return int(max(wait+time.Millisecond-1, 0) / time.Millisecond)
}

// fire calls the timers that are due.
func (l *loop) fire() {
	now := time.Now()
	for len(l.timers) > 0 && !l.timers[0].at.After(now) {
		t := l.timers[0]
		l.disarm(t)
		t.fire()
	}
}

// add registers a file descriptor for edges.
func (l *loop) add(fd int, events uint32, h handler) error {
	for fd >= len(l.at) {
		l.at = append(l.at, registration{})
	}
	r := &l.at[fd]
	r.generation++
	r.handler = h
	e := unix.EpollEvent{Events: events | unix.EPOLLET, Fd: int32(fd), Pad: r.generation}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		r.handler = nil
		return fmt.Errorf("wait for a socket: %w", err)
	}
	return nil
}

// close closes a socket and forgets it; the kernel takes it off the epoll. It is
// reset: an orderly close from our side would hold its port for a minute
// (TIME_WAIT), and 5,000 checks a second use up 28,000 ports in six. HAProxy
// and keepalived end their checks in the same way.
func (l *loop) close(fd int) {
	if fd < len(l.at) {
		l.at[fd].handler = nil
	}
	reset(fd)
	_ = unix.Close(fd) // nothing is left to be written
}

// reset makes the coming close send a reset and forget the connection.
func reset(fd int) {
	linger := unix.Linger{Onoff: 1}
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &linger) // without it: TIME_WAIT, no harm
}

func (l *loop) free() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	_ = unix.Close(l.bell)
	l.gate.close()
	_ = unix.Close(l.epoll)
}

// A timer calls fire at its time, once. Its zero value with fire set is ready.
type timer struct {
	at    time.Time
	fire  func()
	index int // in the heap, from 1; 0: not armed
}

func (t *timer) armed() bool { return t.index > 0 }

// arm sets a timer, anew if it is armed.
func (l *loop) arm(t *timer, at time.Time) {
	t.at = at
	if t.armed() {
		heap.Fix(&l.timers, t.index-1)
		return
	}
	heap.Push(&l.timers, t)
}

// maxGrain is how far armAbout may move a timer.
const maxGrain = 5 * time.Millisecond

// armAbout sets a timer to about that time: to the nearest of the moments that
// lie grain apart, at most maxGrain, and are the same for all timers of that
// grain. One wake-up then serves many.
func (l *loop) armAbout(t *timer, at time.Time, grain time.Duration) {
	since := at.Sub(l.epoch)
	l.arm(t, l.epoch.Add(since.Round(min(grain, maxGrain))))
}

// disarm is harmless for a timer that is not armed.
func (l *loop) disarm(t *timer) {
	if t.armed() {
		heap.Remove(&l.timers, t.index-1)
	}
}

// timerHeap is for container/heap.
type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	*h = append(*h, t)
	t.index = len(*h)
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = 0
	return t
}
