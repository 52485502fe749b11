package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A pinger sends echo requests and hands out the replies, on one raw socket
// per family, whatever the number of servers.
type pinger struct {
	id      uint16
	token   uint64
	v4, v6  *rawSocket // v6 is nil where the kernel has no IPv6
	readers sync.WaitGroup

	mu    sync.Mutex // guards what follows, and reading: who holds it has seen all that has arrived
	slots map[uint32]*slot
	last  uint32
	in    []byte
}

// A slot is one that asks. reply is called with the pinger's lock held.
type slot struct {
	to    netip.Addr
	reply func(count uint32)
}

type rawSocket struct {
	file *os.File
	raw  syscall.RawConn
	fd   int // file's
	v4   bool
}

// newPinger opens the sockets.
func newPinger(s *sockets) (*pinger, error) {
	p := &pinger{
		id: uint16(rand.Uint32()), token: rand.Uint64(),
		slots: map[uint32]*slot{}, in: make([]byte, 2048),
	}
	var err error
	if p.v4, err = openRaw(s, true); err != nil {
		return nil, err
	}
	p.v6, err = openRaw(s, false)
	if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, errors.Join(err, p.v4.file.Close())
	}
	for _, socket := range []*rawSocket{p.v4, p.v6} {
		if socket != nil {
			p.readers.Go(func() { p.listen(socket) })
		}
	}
	return p, nil
}

// openRaw opens a raw ICMP socket on which only echo replies come up.
func openRaw(s *sockets, v4 bool) (*rawSocket, error) {
	domain, proto := unix.AF_INET6, unix.IPPROTO_ICMPV6
	if v4 {
		domain, proto = unix.AF_INET, unix.IPPROTO_ICMP
	}
	fd, err := s.open(domain, unix.SOCK_RAW, proto)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket for echo: %w", err)
	}
	if err := onlyReplies(fd, v4); err != nil {
		return nil, errors.Join(fmt.Errorf("set the filter of the echo socket: %w", err), unix.Close(fd))
	}
	// Replies of a burst of requests must find room; 1 MiB holds some thousand.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	r := &rawSocket{file: os.NewFile(uintptr(fd), "echo"), fd: fd, v4: v4}
	if r.raw, err = r.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	return r, nil
}

// onlyReplies sets ICMP_FILTER (raw(7)) or ICMP6_FILTER (RFC 3542, section
// 3.2): in both, a set bit blocks that type.
func onlyReplies(fd int, v4 bool) error {
	if v4 {
		const solRaw, icmpFilter = 255, 1
		block := ^uint32(1 << echoReply4)
		return unix.SetsockoptInt(fd, solRaw, icmpFilter, int(int32(block)))
	}
	filter := unix.ICMPv6Filter{}
	for i := range filter.Data {
		filter.Data[i] = 0xffffffff
	}
	filter.Data[echoReply6/32] &^= 1 << (echoReply6 % 32)
	return unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &filter)
}

// listen hands out replies as they come, until close.
func (p *pinger) listen(socket *rawSocket) {
	for {
		err := socket.raw.Read(func(uintptr) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.drainOne(socket) > 0
		})
		if err != nil {
			return // closed
		}
	}
}

// drain hands out all replies that have arrived. It needs the lock.
func (p *pinger) drain() {
	for _, socket := range []*rawSocket{p.v4, p.v6} {
		if socket != nil {
			p.drainOne(socket)
		}
	}
}

func (p *pinger) drainOne(socket *rawSocket) (n int) {
	for {
		length, sender, err := unix.Recvfrom(socket.fd, p.in, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return n
		}
		n++
		if e, ok := parseEcho(p.in[:length], socket.v4, p.id, p.token); ok {
			if slot := p.slots[e.slot]; slot != nil && slot.to.WithZone("") == from(sender) {
				slot.reply(e.count)
			}
		}
	}
}

// join adds one that asks. It needs the lock.
func (p *pinger) join(to netip.Addr, reply func(count uint32)) uint32 {
	p.last++
	p.slots[p.last] = &slot{to: to, reply: reply}
	return p.last
}

// leave ends join. It needs the lock.
func (p *pinger) leave(slot uint32) { delete(p.slots, slot) }

// send sends a request by the aim's mark. It needs no lock.
func (p *pinger) send(a aim, e echo) error {
	socket := p.v6
	if a.to.Is4() {
		socket = p.v4
	}
	if socket == nil {
		return unix.EAFNOSUPPORT
	}
	var buffer [echoLength]byte
	packet := appendEcho(buffer[:0], socket.v4, p.id, p.token, e)
	_, peer := sockaddr(a.to, 0)
	return unix.Sendmsg(socket.fd, packet, markMessage(a.mark), peer, unix.MSG_DONTWAIT)
}

// markMessage sets the mark of one packet on a shared socket: SO_MARK as a
// control message, as the kernel's sock_cmsg_send takes it.
func markMessage(mark uint32) []byte {
	if mark == 0 {
		return nil
	}
	b := make([]byte, unix.CmsgSpace(4))
	header := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	header.Level, header.Type = unix.SOL_SOCKET, unix.SO_MARK
	header.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], mark)
	return b
}

// close ends listening.
func (p *pinger) close() error {
	var failed []error
	for _, socket := range []*rawSocket{p.v4, p.v6} {
		if socket != nil {
			failed = append(failed, socket.file.Close())
		}
	}
	p.readers.Wait()
	return errors.Join(failed...)
}

// An icmpCheck is a check by one echo.
type icmpCheck struct {
	pinger  *pinger
	timeout time.Duration
	count   uint32
}

// A waiter is an icmpCheck's run on the leash.
type waiter chan struct{}

// SetDeadline ends the wait: a leash sets deadlines in the past only.
func (w waiter) SetDeadline(time.Time) error {
	select {
	case w <- struct{}{}:
	default:
	}
	return nil
}

func (c *icmpCheck) run(l *leash, a aim) error {
	began := time.Now()
	c.count++
	want, got := c.count, false
	wake := make(waiter, 1)
	if !l.hold(wake) {
		return errCut
	}
	defer l.release(wake)
	c.pinger.mu.Lock()
	slot := c.pinger.join(a.to, func(count uint32) {
		got = got || count == want
		_ = wake.SetDeadline(time.Time{}) // never fails
	})
	c.pinger.mu.Unlock()
	defer func() {
		c.pinger.mu.Lock()
		defer c.pinger.mu.Unlock()
		c.pinger.leave(slot)
	}()
	if err := c.pinger.send(a, echo{slot: slot, count: want}); err != nil {
		return inWords(err, "sending the echo")
	}
	return c.await(l, wake, began, &got)
}

// await waits for the reply; got is guarded by the pinger's lock.
func (c *icmpCheck) await(l *leash, wake waiter, began time.Time, got *bool) error {
	timer := time.NewTimer(time.Until(began.Add(c.timeout)))
	defer timer.Stop()
	for {
		timeout := false
		select {
		case <-wake:
		case <-timer.C:
			timeout = true
		}
		late := time.Since(began) - c.timeout
		c.pinger.mu.Lock()
		c.pinger.drain()
		replied := *got
		c.pinger.mu.Unlock()
		switch {
		case replied:
			return nil
		case l.broken():
			return errCut
		case timeout:
			return timedOut(c.timeout, awaitingEcho, late > tolerance(c.timeout))
		}
	}
}

func (c *icmpCheck) close() {}
