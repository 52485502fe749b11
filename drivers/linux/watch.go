package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// watchBuffer is how many bytes of news the kernel keeps for us, enough for
// several thousand messages. One that overruns loses news, not truth: we look
// again.
const watchBuffer = 4 << 20

// retryWatch is the pause after an error that the kernel is not known to
// give.
const retryWatch = time.Second

// A watch listens to the kernel's news in a goroutine of its own.
type watch struct {
	changed  chan struct{}
	concerns func(table uint32, p netip.Prefix) bool
	socket   *socket
	log      *slog.Logger
	closing  chan struct{}
	done     chan struct{}

	used   atomic.Pointer[map[uint32]bool] // links of our routes, as of the last look
	shaken atomic.Bool                     // one of them, or an address of it, has gone
}

// startWatch returns when the kernel has noted that we listen: no change
// after that goes unnoticed. buffer is in bytes.
func startWatch(in opener, concerns func(uint32, netip.Prefix) bool, buffer int, log *slog.Logger) (*watch, error) {
	s, err := openSocket(in)
	if err != nil {
		return nil, err
	}
	if err := s.control(func(fd int) error { return subscribe(fd, buffer) }); err != nil {
		return nil, errors.Join(err, s.close())
	}
	w := &watch{
		changed: make(chan struct{}, 1), concerns: concerns, socket: s, log: log,
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	go w.run()
	return w, nil
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
		datagram, err := w.socket.receive()
		switch {
		case w.closed():
			return
		case err == nil:
			if w.matters(datagram) {
				w.signal()
			}
		case errors.Is(err, unix.ENOBUFS):
			w.log.Debug("the kernel had more news of routes than fit its buffer; looking again")
			w.signal()
		default:
			w.log.Warn("reading the kernel's news of routes failed; trying again", "err", err)
			w.signal()
			w.pause()
		}
	}
}

// signal leaves at most one receive to be had: it means only "look again".
func (w *watch) signal() {
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
			if ok && w.concerns(table, p) {
				return true
			}
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
func (w *watch) uses(have map[netip.Prefix][]entry) {
	used := map[uint32]bool{}
	for _, entries := range have {
		for _, e := range entries {
			for _, h := range e.hops {
				used[h.iface] = true
			}
		}
	}
	if len(used) > 0 {
		w.used.Store(&used)
	}
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
