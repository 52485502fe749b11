package probe

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A gate lets a goroutine wait for an epoll instance in Go's poller. It is an
// epoll instance around the other, and shut except during wait: one that was
// always in Go's poller would wake a further thread for each event. One
// goroutine uses it.
type gate struct {
	file  *os.File
	raw   syscall.RawConn // file's
	fd    int             // file's
	inner int
}

func newGate(inner int) (*gate, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	g := &gate{fd: fd, inner: inner}
	// Without the flag Go takes it for a file that blocks.
	err = errors.Join(unix.SetNonblock(fd, true), g.control(unix.EPOLL_CTL_ADD, 0))
	g.file = os.NewFile(uintptr(fd), "epoll")
	raw, rawErr := g.file.SyscallConn()
	g.raw = raw
	if err = errors.Join(err, rawErr); err != nil {
		return nil, errors.Join(fmt.Errorf("nest epoll instances: %w", err), g.file.Close())
	}
	return g, nil
}

// control sets what the gate lets through, once.
func (g *gate) control(operation int, events uint32) error {
	e := unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: int32(g.inner)}
	return unix.EpollCtl(g.fd, operation, g.inner, &e)
}

// wait calls poll until it returns more than 0, whenever the inner instance may
// have something, until the deadline; zero: without end.
func (g *gate) wait(deadline time.Time, poll func() int) (n int) {
	_ = g.file.SetReadDeadline(deadline) // the file can be polled: this cannot fail
	err := g.raw.Read(func(uintptr) bool {
		var passed [1]unix.EpollEvent
		_, _ = unix.EpollWait(g.fd, passed[:], 0) // take what opened it: an edge comes only from empty
		if n = poll(); n > 0 {
			return true
		}
		// Opening looks at the inner instance: nothing that came since is missed.
		if err := g.control(unix.EPOLL_CTL_MOD, unix.EPOLLIN); err != nil {
			panic("probe: open the gate: " + err.Error()) // only close closes it
		}
		return false
	})
	if err != nil && !isTimeout(err) {
		panic("probe: wait at the gate: " + err.Error()) // only close closes it
	}
	return n
}

func (g *gate) close() { _ = g.file.Close() }
