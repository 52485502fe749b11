// Package netns makes network namespaces that have no name and leave no
// trace: each lives in one OS thread, and is gone when that thread and the
// processes started in it are. The lab builds its site of them, and tests
// their kernels.
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/routesteer/routesteer/internal/thread"
	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Namespace is one network namespace with a thread that stays in it. Its
// methods may be called by several goroutines; Do and Start run one at a time.
type Namespace struct {
	Name string // for messages
	file *os.File
	jobs chan func()
	done <-chan struct{}
}

// New makes an empty namespace with loopback up. It needs CAP_SYS_ADMIN in
// the current user namespace; see Enter for how to get it without root.
func New(name string) (*Namespace, error) {
	n, started := &Namespace{Name: name, jobs: make(chan func())}, make(chan error)
	n.done = thread.Alone(func() { n.live(started) })
	if err := <-started; err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	if err := n.Do(loopbackUp); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// live is the namespace's thread. With it ends every child that was started from it
// (Pdeathsig).
func (n *Namespace) live(started chan<- error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		started <- err
		return
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	n.file = file
	started <- err
	for job := range n.jobs {
		job()
	}
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// Do runs f on the namespace's thread: sockets that f opens and /proc/sys/net
// files that it touches are the namespace's.
func (n *Namespace) Do(f func() error) error {
	result := make(chan error)
	n.jobs <- func() { result <- f() }
	if err := <-result; err != nil {
		return fmt.Errorf("in namespace %s: %w", n.Name, err)
	}
	return nil
}

// Start starts cmd in the namespace. The child gets SIGKILL when the
// namespace is closed or this process ends, however it ends.
func (n *Namespace) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return n.Do(cmd.Start)
}

// Fd is the namespace's file descriptor, as link and route calls take it. It
// is valid until Close.
func (n *Namespace) Fd() int { return int(n.file.Fd()) }

// Handle opens a netlink handle in the namespace; the caller closes it.
func (n *Namespace) Handle() (*netlink.Handle, error) {
	return netlink.NewHandleAt(vnetns.NsHandle(n.Fd()))
}

// Close ends the namespace's thread and kills the children started in it. The
// kernel removes the namespace with its links when nothing uses it any more.
func (n *Namespace) Close() error {
	close(n.jobs)
	<-n.done
	return n.file.Close()
}
