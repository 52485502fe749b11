package probe

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/program"
	"github.com/routesteer/routesteer/internal/thread"
)

// maxPrograms is how many programs run at the same time, for all checks.
const maxPrograms = 32

// A launcher starts programs from a thread that has no capabilities, so that they
// have none, in the network namespace of the thread that made the launcher. They
// get SIGKILL when that thread, and so this process, ends.
type launcher struct {
	slots chan struct{} // has room for as many as may run
	jobs  chan func()
	done  <-chan struct{} // closed when the thread has ended
}

func newLauncher() (*launcher, error) {
	namespace, err := otherNamespace()
	if err != nil {
		return nil, err
	}
	if namespace != nil {
		defer namespace.Close()
	}
	l := &launcher{slots: make(chan struct{}, maxPrograms), jobs: make(chan func())}
	ready := make(chan error)
	l.done = thread.Alone(func() { l.live(namespace, ready) })
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("make a thread for the programs of checks: %w", err)
	}
	return l, nil
}

// live is the thread.
func (l *launcher) live(namespace *os.File, ready chan<- error) {
	err := enter(namespace)
	if err == nil {
		err = program.Renounce()
	}
	ready <- err
	if err != nil {
		return
	}
	for job := range l.jobs {
		job()
	}
}

// enter puts the calling thread into a namespace, unless that is nil.
func enter(namespace *os.File) error {
	if namespace == nil {
		return nil
	}
	return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
}

// start starts a program.
func (l *launcher) start(cmd *exec.Cmd) error {
	started := make(chan error)
	l.jobs <- func() { started <- cmd.Start() }
	return <-started
}

// close ends the thread; nothing may be started any more.
func (l *launcher) close() {
	close(l.jobs)
	<-l.done
}
