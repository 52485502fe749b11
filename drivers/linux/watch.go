package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watchBuffer is how many bytes of news the kernel keeps for us, enough for
// several thousand messages. One that overruns loses news, not truth: we look
// again.
const watchBuffer = 4 << 20

// retryWatch is the pause after an error that the kernel is not known to
// give.
const retryWatch = time.Second

// A watch listens to the kernel's news in a goroutine of its own. Whoever
// needs to know at once whether there was any calls count.
type watch struct {
	changed  chan struct{}
	concerns func(table uint32, p netip.Prefix) bool
	socket   *socket
	log      *slog.Logger
	closing  chan struct{}
	done     chan struct{}

	used   atomic.Pointer[map[uint32]bool] // links of our routes, as of the last look
	shaken atomic.Bool                     // one of them, or an address of it, has gone

	mu   sync.Mutex // held from a read to the end of what it leads to
	news uint64     // how often something came that concerns us
}

// startWatch returns when the kernel has noted that we listen: no change
// after that goes unnoticed, but those that the socket own asks for. buffer is
// in bytes.
func startWatch(in opener, concerns func(uint32, netip.Prefix) bool, buffer int, own *socket, log *slog.Logger) (*watch, error) {
	s, err := openSocket(in)
	if err != nil {
		return nil, err
	}
	port, err := own.port()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.control(func(fd int) error { return errors.Join(ignore(fd, port), subscribe(fd, buffer)) }); err != nil {
		return nil, errors.Join(err, s.close())
	}
	w := &watch{
		changed: make(chan struct{}, 1), concerns: concerns, socket: s, log: log,
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// ignore keeps from the socket the news of what the socket with that port has
// asked for. With net.ipv4.nexthop_compat_mode=1 one nexthop object that we
// replace gives a message for each of its routes, 100,000 if need be, which no
// buffer holds. The program runs in the kernel, on each message of its own; it
// reads nlmsghdr.nlmsg_pid, as classic BPF does, in network byte order.
func ignore(fd int, port uint32) error {
	const nlmsgPid = 12
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: nlmsgPid},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: networkOrder(port), Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: ^uint32(0)},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: unsafe.SliceData(program)}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("filter our own news: %w", err)
	}
	return nil
}

func networkOrder(n uint32) uint32 {
	return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, n))
}

func subscribe(fd, buffer int) error {
	// Beyond net.core.rmem_max only with CAP_NET_ADMIN; without, as far as it goes.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer); err != nil {
			return fmt.Errorf("size the receive buffer: %w", err)
		}
	}
	for _, group := range []int{
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_LINK,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
			return fmt.Errorf("join netlink group %d: %w", group, err)
		}
	}
	// Kernels before 5.3 have no nexthop objects.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.RTNLGRP_NEXTHOP)
	return nil
}

func (w *watch) run() {
	defer close(w.done)
	for {
		err := w.socket.waitRead(w.take)
		switch {
		case w.closed():
			return
		case err != nil:
			w.log.Warn("reading the kernel's news of routes failed; trying again", "err", err)
			w.pause()
		}
	}
}

// count says how often something came that concerns us. The kernel tells of a
// change before the call that made it returns, so what others did before count
// is called is counted.
func (w *watch) count() uint64 {
	_ = w.socket.control(func(fd int) error { // an error has been counted, and run tells of it
		for {
			if got, err := w.take(fd); err != nil || !got {
				return err
			}
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.news
}

// take reads one datagram, if there is one.
func (w *watch) take(fd int) (got bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	datagram, err := w.socket.read(fd)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false, nil
	case errors.Is(err, unix.ENOBUFS):
		w.log.Debug("the kernel had more news of routes than fit its buffer; looking again")
		w.note()
		return true, nil
	case err != nil:
		w.note()
		return false, err
	case w.matters(datagram):
		w.note()
	}
	return true, nil
}

// note leaves at most one receive to be had: it means only "look again". mu is
// held.
func (w *watch) note() {
	w.news++
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *watch) pause() {
	timer := time.NewTimer(retryWatch)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.closing:
	}
}

// matters keeps the many routes of a busy router from waking anybody. News of
// links, addresses and nexthop objects always matters: with them routes go
// that no message tells of.
func (w *watch) matters(datagram []byte) bool {
	for head, payload := range messages(datagram) {
		if w.shakes(head.Type, payload) {
			w.shaken.Store(true)
		}
		switch head.Type {
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			table, p, ok := routeKey(payload)
			if ok && (w.concerns(table, p) || usesOurs(payload)) {
				return true
			}
		case unix.RTM_NEWNEXTHOPBUCKET, unix.RTM_DELNEXTHOPBUCKET: // a resilient group at its work
		default:
			return true
		}
	}
	return false
}

// shakes reports whether a message says that a link of our routes went down, or
// an address of it away: the kernel takes routes along with them.
func (w *watch) shakes(kind uint16, payload []byte) bool {
	const indexAt, flagsAt = 4, 8 // in struct ifinfomsg, and the first in struct ifaddrmsg
	if len(payload) < flagsAt {
		return false
	}
	gone := kind == unix.RTM_DELLINK || kind == unix.RTM_DELADDR
	if kind == unix.RTM_NEWLINK && len(payload) >= unix.SizeofIfInfomsg {
		const up = unix.IFF_UP | unix.IFF_LOWER_UP
		gone = binary.NativeEndian.Uint32(payload[flagsAt:])&up != up
	}
	used := w.used.Load()
	return gone && used != nil && (*used)[binary.NativeEndian.Uint32(payload[indexAt:])]
}

// uses notes the links of our routes. While there are none, those that were
// last used stay: their going is why.
func (w *watch) uses(links map[uint32]bool) {
	if len(links) > 0 {
		w.used.Store(&links)
	}
}

// usesOurs reports whether a route points at a nexthop object of our range.
func usesOurs(route []byte) bool {
	for kind, value := range attributes(route[unix.SizeofRtMsg:]) {
		if kind == rtaNHID {
			return inRange(number(value))
		}
	}
	return false
}

func (w *watch) closed() bool {
	select {
	case <-w.closing:
		return true
	default:
		return false
	}
}

func (w *watch) close() error {
	if w.closed() {
		return nil
	}
	close(w.closing)
	err := w.socket.close()
	<-w.done
	return err
}
