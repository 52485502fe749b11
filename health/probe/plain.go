package probe

import (
	"errors"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A plain makes plain-text checks of one address on the loop: HTTP, or TCP when
// it has no request. It has one socket at a time.
type plain struct {
	loop    *loop
	sockets *sockets
	port    uint16
	timeout time.Duration
	request []byte // nil: only connect
	reply   *reply

	fd        int // -1: none
	aim       aim // of fd
	active    bool
	reused    bool // fd has served an earlier check
	sent      bool
	began     time.Time
	connected time.Time // when the handshake was seen to be done
	done      func(error)
}

// start makes a check, which ends by done: with nil, a *fault, or errCut.
func (c *plain) start(a aim, began time.Time, done func(error)) {
	c.active, c.began, c.done = true, began, done
	if c.fd >= 0 && c.aim == a {
		c.reused, c.sent = true, false
		c.reply.reset()
		c.ready(unix.EPOLLOUT)
		return
	}
	c.drop()
	c.aim = a
	c.connect()
}

// connect opens a fresh connection. Not seldom the handshake is done when
// connect returns, so the request is tried at once, and epoll asked then.
func (c *plain) connect() {
	fd, err := c.sockets.connect(c.aim, c.port, c.request == nil)
	if err != nil {
		c.finish(inWords(err, whileConnecting))
		return
	}
	c.fd, c.reused, c.sent, c.connected = fd, false, false, time.Time{}
	if c.reply != nil {
		c.reply.reset()
	}
	c.ready(unix.EPOLLOUT)
	if !c.active || c.fd != fd {
		return
	}
	events := uint32(unix.EPOLLIN | unix.EPOLLRDHUP)
	if c.connected.IsZero() {
		events |= unix.EPOLLOUT
	}
	if err := c.loop.add(fd, events, c); err != nil {
		c.finish(inWords(err, whileConnecting))
	}
}

// ready goes on as far as it can.
func (c *plain) ready(events uint32) {
	switch {
	case !c.active:
		c.drop() // the server ended a kept connection, or broke the protocol
	case c.request == nil:
		c.shake()
	case !c.sent:
		c.send()
	default:
		c.receive(events)
	}
}

// shake ends a TCP check when the handshake is done.
func (c *plain) shake() {
	done, err := handshake(c.fd)
	switch {
	case err != nil:
		c.finish(inWords(err, whileConnecting))
	case done:
		c.finish(nil)
	}
}

// send sends the request. A request is small: that it does not go means that
// the handshake is not done.
func (c *plain) send() {
	n, err := unix.Write(c.fd, c.request)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
	case err != nil:
		c.closed(err, whileConnecting)
	case n < len(c.request):
		c.finish(failf("the request does not fit into the socket"))
	default:
		c.sent = true
		if c.connected.IsZero() {
			c.connected = time.Now()
		}
	}
}

// receive reads what has arrived.
func (c *plain) receive(events uint32) {
	for {
		n, err := unix.Read(c.fd, c.loop.in)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil:
			c.closed(err, c.reply.waitingFor())
			return
		case n == 0:
			c.eof()
			return
		}
		done, err := c.reply.feed(c.loop.in[:n])
		if err != nil || done {
			c.finish(err)
			return
		}
		// A short read has emptied the socket, unless the end has come too.
		if n < len(c.loop.in) && events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return
		}
	}
}

func (c *plain) eof() {
	closed, err := c.reply.eof()
	if closed {
		c.closed(io.EOF, c.reply.waitingFor())
		return
	}
	c.finish(err)
}

// closed handles the end of a connection before the response's. A kept one may
// have been closed while the request was under way, which is the server's right
// (RFC 9112, section 9.3): a fresh one decides.
func (c *plain) closed(err error, during string) {
	if c.reused && !c.reply.answered {
		c.drop()
		c.connect()
		return
	}
	c.finish(inWords(err, during))
}

// expire ends a check whose time is up, after a last look at the socket.
func (c *plain) expire(now time.Time) {
	if c.active {
		c.ready(unix.EPOLLIN | unix.EPOLLOUT)
	}
	if c.active && c.sent { // perhaps sent just now
		c.receive(0)
	}
	if !c.active {
		return
	}
	during := whileConnecting
	if c.sent {
		during = c.reply.waitingFor()
	}
	c.finish(timedOut(c.timeout, during, stalled(c.fd, c.began, c.connected, now, c.timeout)))
}

// cancel breaks a check off.
func (c *plain) cancel() {
	if c.active {
		c.finish(errCut)
	}
}

// finish ends a check and keeps or closes the connection.
func (c *plain) finish(err error) {
	c.active = false
	if err != nil || c.reply == nil || !c.reply.reusable() {
		c.drop()
	}
	c.done(err)
}

// drop closes the connection, if there is one.
func (c *plain) drop() {
	if c.fd >= 0 {
		c.loop.close(c.fd)
		c.fd = -1
	}
}

// handshake asks the kernel how far a connection has come.
func handshake(fd int) (done bool, err error) {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return true, err
	}
	if errno != 0 {
		return true, syscall.Errno(errno)
	}
	_, err = unix.Getpeername(fd)
	if errors.Is(err, unix.ENOTCONN) {
		return false, nil
	}
	return true, err
}

// stalled reports whether this machine, not the server, used up a check's time:
// the timer fired late, or the handshake was done long before we were let run
// to see it.
func stalled(fd int, began, connected, now time.Time, timeout time.Duration) bool {
	tolerance := tolerance(timeout)
	if now.Sub(began.Add(timeout)) > tolerance {
		return true
	}
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State == unix.BPF_TCP_SYN_SENT || info.Rtt == 0 {
		return false
	}
	if connected.IsZero() {
		connected = now
	}
	return connected.Sub(began)-time.Duration(info.Rtt)*time.Microsecond > tolerance
}

// tolerance is how late this process may be without making a timeout void.
func tolerance(timeout time.Duration) time.Duration {
	return max(timeout/5, 20*time.Millisecond)
}
