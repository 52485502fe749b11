package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of the HTTP generator.
const (
	maxOpen    = 32 << 10 // connections under way; a second of the highest rate with nobody answering
	startBurst = 32       // starts between looks at the answers, when it has to catch up
	maxAnswer  = 1 << 10  // bytes of an answer
)

// An httpLoad makes new connections at an even rate. One thread does it all
// with epoll: with thousands of short connections a second, goroutines and
// their timers would cost more than the requests.
type httpLoad struct {
	clock
	plan    loadPlan
	epoll   int
	sites   websites
	flights []flight
	free    []int
	due     fifo // by start, so also by timeout
	out     []byte
	scratch []byte
}

// A flight is one connection, from start to result.
type flight struct {
	fd       int
	vip      int
	nonce    uint64
	started  time.Duration
	late     time.Duration
	sent     bool
	answered []byte
	seat     uint32 // counts uses of this entry, so that an old event is not taken for a new one's
}

func newHTTPLoad(plan loadPlan) (*httpLoad, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make the load's epoll: %w", err)
	}
	return &httpLoad{clock: newClock(), plan: plan, epoll: epoll, sites: newWebsites(plan)}, nil
}

func (l *httpLoad) close() { _ = unix.Close(l.epoll) }

// run makes requests until ctx ends and waits for those under way.
func (l *httpLoad) run(ctx context.Context, out *sampleWriter) {
	rate := l.plan.httpRate * len(l.plan.httpVIPs)
	if rate == 0 {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	step := time.Second / time.Duration(rate)
	begin := l.now()
	events := make([]unix.EpollEvent, 256)
	for next := 0; ; {
		stopping := ctx.Err() != nil
		now := l.now()
		for burst := 0; !stopping && burst < startBurst; burst++ {
			due := begin + time.Duration(next)*step
			if due > now {
				break
			}
			l.start(next, due)
			next++
			now = l.now()
		}
		l.expire(now)
		l.wait(events, begin+time.Duration(next)*step <= now && !stopping)
		out.add(l.out)
		l.out = l.out[:0]
		if stopping && l.due.empty() {
			return
		}
	}
}

// start begins request number n.
func (l *httpLoad) start(n int, due time.Duration) {
	started := l.now()
	f := flight{fd: -1, vip: l.plan.httpVIPs[n%len(l.plan.httpVIPs)], nonce: mix(uint64(l.base.UnixNano()) + uint64(n)), started: started, late: started - due}
	if len(l.free) == 0 && len(l.flights) == maxOpen {
		l.record(f, Overload, -1)
		return
	}
	fd, err := l.sites.connect(f.vip)
	if err != nil {
		l.record(f, resultOf(err), -1)
		return
	}
	f.fd = fd
	slot := l.seat(f)
	if err := watch(l.epoll, fd, slot, l.flights[slot].seat); err != nil {
		l.finish(slot, Overload, -1)
	}
}

// seat finds a place for the flight.
func (l *httpLoad) seat(f flight) int {
	if len(l.free) == 0 {
		l.flights = append(l.flights, flight{answered: make([]byte, 0, maxAnswer)})
		l.free = append(l.free, len(l.flights)-1)
	}
	slot := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	old := l.flights[slot]
	f.answered, f.seat = old.answered[:0], old.seat+1
	l.flights[slot] = f
	l.due.push(ticket{slot: slot, seat: f.seat, started: f.started})
	return slot
}

// wait handles events, and waits for them at most a millisecond.
func (l *httpLoad) wait(events []unix.EpollEvent, behind bool) {
	timeout := 1
	if behind {
		timeout = 0
	}
	n, err := unix.EpollWait(l.epoll, events, timeout)
	if err != nil {
		return // EINTR: the loop comes again
	}
	for _, event := range events[:n] {
		slot := int(event.Fd)
		if l.flights[slot].seat == uint32(event.Pad) && l.flights[slot].fd >= 0 {
			l.advance(slot, event.Events)
		}
	}
}

// advance does what a connection is ready for.
func (l *httpLoad) advance(slot int, ready uint32) {
	f := &l.flights[slot]
	if !f.sent && ready&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		l.scratch = httpRequest(l.scratch[:0], l.sites.hosts[f.vip], f.nonce, false)
		if _, err := unix.Write(f.fd, l.scratch); err != nil {
			l.finish(slot, resultOf(err), -1)
			return
		}
		f.sent = true
	}
	if ready&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		l.read(slot)
	}
}

// read takes what has come, and ends the flight when the answer is complete.
func (l *httpLoad) read(slot int) {
	f := &l.flights[slot]
	for {
		if len(f.answered) == cap(f.answered) {
			l.finish(slot, Wrong, -1)
			return
		}
		n, err := unix.Read(f.fd, f.answered[len(f.answered):cap(f.answered)])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			l.finish(slot, resultOf(err), -1)
			return
		}
		f.answered = f.answered[:len(f.answered)+n]
		verdict := judge(f.answered, n == 0, f.nonce, l.plan.servers)
		if verdict.done {
			l.finish(slot, verdict.result, verdict.server)
			return
		}
	}
}

// expire ends flights that have had their second.
func (l *httpLoad) expire(now time.Duration) {
	for !l.due.empty() {
		t := l.due.first()
		open := l.flights[t.slot].seat == t.seat && l.flights[t.slot].fd >= 0
		if open && now-t.started < answerTimeout {
			return
		}
		if open {
			l.finish(t.slot, Timeout, -1)
		}
		l.due.pop()
	}
}

// finish closes the connection and records what became of it.
func (l *httpLoad) finish(slot int, result Result, server int) {
	f := &l.flights[slot]
	l.record(*f, result, server)
	_ = unix.Close(f.fd) // out of epoll with it; a reset cannot fail in a way that matters
	f.fd = -1
	l.free = append(l.free, slot)
}

func (l *httpLoad) record(f flight, result Result, server int) {
	s := Sample{Kind: HTTP, Result: result, VIP: f.vip, Server: server,
		Start: l.at(f.started), Took: l.now() - f.started, Late: f.late}
	if result == OK && s.Took > answerTimeout {
		s.Result = Timeout // it came, but this thread was not there to see it in time
	}
	l.out = s.append(l.out)
}

// A judgement is what an answer, so far, amounts to.
type judgement struct {
	done   bool
	result Result
	server int
}

// judge says whether the answer is complete and the right one: 200, from a
// known server, with the nonce of this request.
func judge(answer []byte, ended bool, nonce uint64, servers []string) judgement {
	head, body, complete := bytes.Cut(answer, []byte("\r\n\r\n"))
	length := -1
	var name []byte
	for i := 0; len(head) > 0; i++ {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\r\n"))
		if i == 0 && complete && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return judgement{done: true, result: Wrong, server: -1}
		}
		field, value, _ := bytes.Cut(line, []byte(": "))
		switch string(field) {
		case serverHeader:
			name = value
		case "Content-Length":
			if n, err := strconv.Atoi(string(value)); err == nil {
				length = n
			}
		}
	}
	switch {
	case ended && (!complete || len(body) < length):
		return judgement{done: true, result: Short, server: -1}
	case !complete || len(body) < length:
		return judgement{server: -1}
	}
	var want [128]byte
	b := append(want[:0], name...)
	b = append(b, ' ')
	b = appendNonce(b, nonce)
	b = append(b, '\n')
	server := index(servers, name)
	if server < 0 || !bytes.Equal(body, b) {
		return judgement{done: true, result: Wrong, server: server}
	}
	return judgement{done: true, result: OK, server: server}
}

// websites are the VIPs as HTTP sees them.
type websites struct {
	family int      // of sockets
	hosts  []string // of the Host field
	peers  []unix.Sockaddr
}

func newWebsites(plan loadPlan) websites {
	w := websites{family: plan.family().number()}
	for _, vip := range plan.vips {
		to := netip.AddrPortFrom(vip, httpPort)
		w.hosts = append(w.hosts, strings.TrimSuffix(to.String(), fmt.Sprintf(":%d", httpPort)))
		w.peers = append(w.peers, sockaddr(to))
	}
	return w
}

// connect begins a connection to a VIP. Closing it resets it: no TIME_WAIT
// uses up the ports.
func (w websites) connect(vip int) (fd int, err error) {
	fd, err = unix.Socket(w.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err == nil {
		err = unix.Connect(fd, w.peers[vip])
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// watch makes epoll tell what a connection is ready for, each time anew. The
// seat tells the users of a slot apart.
func watch(epoll, fd, slot int, seat uint32) error {
	return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(slot), Pad: int32(seat)})
}

// resultOf says what a system call's error means for a request.
func resultOf(err error) Result {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return Refused
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return Reset
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		return Unreachable
	case errors.Is(err, unix.ETIMEDOUT):
		return Timeout
	default:
		return Overload // out of ports, buffers, files
	}
}

func index(names []string, name []byte) int {
	for i, n := range names {
		if n == string(name) {
			return i
		}
	}
	return -1
}

// A ticket is a flight's place in the queue of timeouts.
type ticket struct {
	slot    int
	seat    uint32
	started time.Duration
}

// A fifo is a queue of tickets that reuses its memory.
type fifo struct {
	tickets []ticket
	head    int
}

func (q *fifo) empty() bool   { return q.head == len(q.tickets) }
func (q *fifo) first() ticket { return q.tickets[q.head] }

func (q *fifo) push(t ticket) {
	if q.head > 1024 && q.head > len(q.tickets)/2 {
		q.tickets = q.tickets[:copy(q.tickets, q.tickets[q.head:])]
		q.head = 0
	}
	q.tickets = append(q.tickets, t)
}

func (q *fifo) pop() { q.head++ }
