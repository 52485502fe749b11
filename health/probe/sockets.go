package probe

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/thread"
)

// sockets opens sockets in one network namespace, from any goroutine. A socket
// belongs to the namespace of the thread that opened it; what happens to it
// later may happen on any thread.
type sockets struct {
	jobs chan func()     // nil in the process's own namespace
	done <-chan struct{} // closed when the thread has ended
}

// newSockets opens sockets in the namespace of the calling thread.
func newSockets() (*sockets, error) {
	file, err := otherNamespace()
	if err != nil {
		return nil, err
	}
	if file == nil {
		return &sockets{}, nil
	}
	defer file.Close()
	s, entered := &sockets{jobs: make(chan func())}, make(chan error)
	s.done = thread.Alone(func() { s.stay(int(file.Fd()), entered) })
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("enter this thread's network namespace: %w", err)
	}
	return s, nil
}

// otherNamespace opens the namespace of the calling thread, which the caller closes;
// nil if it is the process's own.
func otherNamespace() (*os.File, error) {
	var here, process unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return nil, fmt.Errorf("look at this thread's network namespace: %w", err)
	}
	if err := unix.Stat("/proc/self/ns/net", &process); err != nil {
		return nil, fmt.Errorf("look at this process's network namespace: %w", err)
	}
	if here.Ino == process.Ino && here.Dev == process.Dev {
		return nil, nil
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open this thread's network namespace: %w", err)
	}
	return file, nil
}

// stay is the thread in another namespace.
func (s *sockets) stay(namespace int, entered chan<- error) {
	err := unix.Setns(namespace, unix.CLONE_NEWNET)
	entered <- err
	if err != nil {
		return
	}
	for job := range s.jobs {
		job()
	}
}

// open returns a new non-blocking socket.
func (s *sockets) open(domain, kind, protocol int) (fd int, err error) {
	kind |= unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	if s.jobs == nil {
		return unix.Socket(domain, kind, protocol)
	}
	opened := make(chan struct{})
	s.jobs <- func() {
		fd, err = unix.Socket(domain, kind, protocol)
		close(opened)
	}
	<-opened
	return fd, err
}

// close ends the thread; nothing may be opened any more.
func (s *sockets) close() {
	if s.jobs != nil {
		close(s.jobs)
		<-s.done
	}
}
