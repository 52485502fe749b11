package lab

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// How established connections are opened and used.
const (
	openRate  = 2_000           // a second, so that opening them is no burst
	talkLeast = time.Second     // between requests on one connection, at least
	talkMost  = 2 * time.Second // and at most
	// keptTimeout is how long an answer on an established connection may take. In
	// this time TCP sends three times again: after 0.2, 0.6 and 1.4 s.
	keptTimeout = 2 * time.Second
	turnBurst   = 64 // turns between looks at the answers, when it has to catch up
)

// A keptLoad holds established connections, which speak now and then. One
// thread does it all with epoll, as in httpLoad. Each connection has one
// moment at which something is due: its next request, the end of its patience
// for an answer, or the next try to open it again.
type keptLoad struct {
	clock
	plan    loadPlan
	epoll   int
	sites   websites
	orders  chan order
	conns   []kept
	turns   turns
	asked   uint64 // requests so far
	out     []byte
	scratch [maxAnswer]byte
}

// A kept is one established connection, or what tries to become one.
type kept struct {
	fd       int // -1 while it is not open
	vip      int
	home     int  // the server that it was opened to; -1 before its first answer
	kind     Kind // of the sample under way: Open, Reopen or Talk
	waits    bool // for an answer, or to be connected
	sent     bool // the request
	nonce    uint64
	started  time.Duration // the request, or the opening
	late     time.Duration
	finish   time.Duration // when to close it; 0 is never
	due      time.Duration
	place    int // in the queue of turns; -1 is none
	seat     uint32
	answered []byte // so far, of an answer that comes in parts
}

func newKeptLoad(plan loadPlan) (*keptLoad, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make the load's epoll: %w", err)
	}
	l := &keptLoad{clock: newClock(), plan: plan, epoll: epoll, sites: newWebsites(plan), orders: make(chan order)}
	l.turns.of = &l.conns
	return l, nil
}

func (l *keptLoad) close() { _ = unix.Close(l.epoll) }

// run keeps connections until ctx ends.
func (l *keptLoad) run(ctx context.Context, out *sampleWriter) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := make([]unix.EpollEvent, 256)
	for l.obey(ctx) {
		behind := l.turnDue()
		l.wait(events, behind)
		out.add(l.out)
		l.out = l.out[:0]
	}
	for slot := range l.conns {
		l.hangUp(slot)
	}
}

// obey takes an order, and waits for one while there is nothing else to do.
// It returns false when ctx has ended.
func (l *keptLoad) obey(ctx context.Context) bool {
	if len(l.turns.queue) > 0 {
		select {
		case o := <-l.orders:
			l.follow(o)
		default:
		}
		return ctx.Err() == nil
	}
	select {
	case o := <-l.orders:
		l.follow(o)
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *keptLoad) follow(o order) {
	now := l.now()
	for i := range o.Open {
		vip := l.plan.httpVIPs[len(l.conns)%len(l.plan.httpVIPs)]
		l.conns = append(l.conns, kept{fd: -1, vip: vip, home: -1, kind: Open, place: -1})
		l.schedule(len(l.conns)-1, now+time.Duration(i)*time.Second/openRate)
	}
	var slots []int
	for slot, c := range l.conns {
		if o.Finish != "" && c.home == index(l.plan.servers, []byte(o.Finish)) && c.finish == 0 {
			slots = append(slots, slot)
		}
	}
	for i, slot := range slots {
		c := &l.conns[slot]
		c.finish = now + time.Duration(i)*o.Over/time.Duration(len(slots))
		if !c.waits {
			l.schedule(slot, min(c.due, c.finish))
		}
	}
}

// schedule says when the connection's next turn is.
func (l *keptLoad) schedule(slot int, due time.Duration) {
	c := &l.conns[slot]
	c.due = due
	if c.place < 0 {
		heap.Push(&l.turns, slot)
		return
	}
	heap.Fix(&l.turns, c.place)
}

// turnDue does what is due, and reports whether more is.
func (l *keptLoad) turnDue() (behind bool) {
	for range turnBurst {
		if len(l.turns.queue) == 0 || l.conns[l.turns.queue[0]].due > l.now() {
			return false
		}
		l.turn(l.turns.queue[0])
	}
	return true
}

// turn does what is due on one connection.
func (l *keptLoad) turn(slot int) {
	c := &l.conns[slot]
	switch {
	case c.waits:
		l.fail(slot, Timeout)
	case c.finish != 0 && c.finish <= l.now():
		l.finish(slot)
	default:
		c.started, c.nonce = l.now(), mix(uint64(l.base.UnixNano())^l.asked)
		c.late = c.started - c.due
		c.waits, c.sent = true, false
		l.asked++
		l.schedule(slot, c.started+keptTimeout)
		if c.fd < 0 {
			l.open(slot)
			return
		}
		l.ask(slot)
	}
}

// open begins to connect; the request follows when it is connected.
func (l *keptLoad) open(slot int) {
	c := &l.conns[slot]
	var err error
	if c.fd, err = l.sites.connect(c.vip); err != nil {
		l.fail(slot, resultOf(err))
		return
	}
	c.seat++
	if err := watch(l.epoll, c.fd, slot, c.seat); err != nil {
		l.fail(slot, Overload)
	}
}

// ask sends the request.
func (l *keptLoad) ask(slot int) {
	c := &l.conns[slot]
	c.sent = true
	request := httpRequest(l.scratch[:0], l.sites.hosts[c.vip], c.nonce, true)
	if _, err := unix.Write(c.fd, request); err != nil {
		l.fail(slot, resultOf(err))
	}
}

// wait handles events, and waits for them until the next turn.
func (l *keptLoad) wait(events []unix.EpollEvent, behind bool) {
	timeout := 10 // for orders
	if len(l.turns.queue) > 0 {
		next := l.conns[l.turns.queue[0]].due - l.now()
		timeout = max(0, min(timeout, int((next+time.Millisecond-1)/time.Millisecond)))
	}
	if behind {
		timeout = 0
	}
	n, err := unix.EpollWait(l.epoll, events, timeout)
	if err != nil {
		return // EINTR: the loop comes again
	}
	for _, event := range events[:n] {
		slot := int(event.Fd)
		if c := l.conns[slot]; c.seat == uint32(event.Pad) && c.fd >= 0 {
			l.advance(slot, event.Events)
		}
	}
}

// advance does what a connection is ready for.
func (l *keptLoad) advance(slot int, ready uint32) {
	c := &l.conns[slot]
	if c.waits && !c.sent && ready&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		l.ask(slot)
	}
	const news = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLERR | unix.EPOLLHUP
	for again := ready&news != 0; again && c.fd >= 0; {
		again = l.read(slot, ready&(news&^unix.EPOLLIN) != 0)
	}
}

// read takes what has come, and reports whether there may be more: without an
// end in sight, a read that does not fill the buffer has taken all.
func (l *keptLoad) read(slot int, ends bool) (more bool) {
	c := &l.conns[slot]
	n, err := unix.Read(c.fd, l.scratch[:])
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false
	case errors.Is(err, unix.EINTR):
		return true
	case err != nil:
		l.fail(slot, resultOf(err))
		return false
	case n == 0 && !c.waits:
		l.fail(slot, Ended)
		return false
	case n > 0 && !c.waits:
		l.fail(slot, Wrong) // nothing was asked
		return false
	}
	answer := l.scratch[:n]
	if len(c.answered) > 0 {
		c.answered = append(c.answered, answer...)
		answer = c.answered
	}
	verdict := judge(answer, n == 0, c.nonce, l.plan.servers)
	switch {
	case !verdict.done && len(answer) < maxAnswer:
		if len(c.answered) == 0 {
			c.answered = append(c.answered, answer...)
		}
	case !verdict.done, verdict.result == OK && c.home >= 0 && verdict.server != c.home:
		l.fail(slot, Wrong)
	case verdict.result != OK:
		l.fail(slot, verdict.result)
	default:
		l.succeed(slot, verdict.server)
	}
	return ends || n == len(l.scratch)
}

// succeed records the right answer, and when the next request is due.
func (l *keptLoad) succeed(slot, server int) {
	c := &l.conns[slot]
	c.home = server
	l.record(slot, OK)
	c.kind, c.waits, c.answered = Talk, false, c.answered[:0]
	due := l.now() + gap()
	if c.finish != 0 {
		due = min(due, c.finish)
	}
	l.schedule(slot, due)
}

// fail records what broke the connection, or kept it from being opened. It is
// opened again when its turn comes.
func (l *keptLoad) fail(slot int, result Result) {
	c := &l.conns[slot]
	if !c.waits {
		c.started, c.late = l.now(), 0
	}
	l.record(slot, result)
	l.hangUp(slot)
	if c.kind == Talk {
		c.kind = Reopen
	}
	c.home, c.waits, c.answered = -1, false, c.answered[:0]
	if c.finish != 0 {
		heap.Remove(&l.turns, c.place)
		return
	}
	l.schedule(slot, l.now()+gap())
}

// finish closes the connection for good, in peace.
func (l *keptLoad) finish(slot int) {
	c := &l.conns[slot]
	c.kind, c.started, c.late = Finish, l.now(), 0
	l.record(slot, OK)
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}) // at worst it is reset
	l.hangUp(slot)
	c.home = -1
	heap.Remove(&l.turns, c.place)
}

func (l *keptLoad) hangUp(slot int) {
	if c := &l.conns[slot]; c.fd >= 0 {
		_ = unix.Close(c.fd) // out of epoll with it
		c.fd = -1
	}
}

func (l *keptLoad) record(slot int, result Result) {
	c := &l.conns[slot]
	s := Sample{Kind: c.kind, Result: result, VIP: c.vip, Server: c.home,
		Start: l.at(c.started), Took: l.now() - c.started, Late: c.late}
	l.out = s.append(l.out)
}

// gap is a random time between two requests, so that connections that were
// opened together do not speak together.
func gap() time.Duration { return talkLeast + rand.N(talkMost-talkLeast) }

// turns is a heap (container/heap) of the connections by what is due first.
type turns struct {
	of    *[]kept
	queue []int // slots
}

func (t *turns) Len() int { return len(t.queue) }

func (t *turns) Less(i, j int) bool {
	conns := *t.of
	return conns[t.queue[i]].due < conns[t.queue[j]].due
}

func (t *turns) Swap(i, j int) {
	t.queue[i], t.queue[j] = t.queue[j], t.queue[i]
	(*t.of)[t.queue[i]].place, (*t.of)[t.queue[j]].place = i, j
}

func (t *turns) Push(slot any) {
	(*t.of)[slot.(int)].place = len(t.queue)
	t.queue = append(t.queue, slot.(int))
}

func (t *turns) Pop() any {
	last := t.queue[len(t.queue)-1]
	(*t.of)[last].place = -1
	t.queue = t.queue[:len(t.queue)-1]
	return last
}
