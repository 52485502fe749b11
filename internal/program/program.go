// Package program is about other people's programs that the controller starts, as
// checks and notifiers: without its rights and its environment, and not outliving what
// they are for.
package program

import (
	"bytes"
	"errors"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Contain has a command made by exec.CommandContext run in / with an environment of its
// own, and in a process group that is killed as a whole when the context ends, or the
// thread that starts it. Its output is read for at most lastWords after its end.
func Contain(cmd *exec.Cmd, lastWords time.Duration, environment ...string) {
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = lastWords
}

// Wait waits for a contained command that was started, and kills what it has started
// and left behind in its group. It returns what cmd.Wait does.
func Wait(cmd *exec.Cmd) error {
	// It is not reaped yet when its group is killed, so that its number is nobody else's.
	pid := cmd.Process.Pid
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	_ = unix.Kill(-pid, unix.SIGKILL) // there is mostly nobody
	return cmd.Wait()
}

// A Beginning keeps the first Limit bytes of what is written to it.
type Beginning struct {
	Limit int
	kept  bytes.Buffer
}

// Write implements io.Writer. It never fails.
func (b *Beginning) Write(text []byte) (int, error) {
	b.kept.Write(text[:min(len(text), b.Limit-b.kept.Len())])
	return len(text), nil
}

// String is what was kept.
func (b *Beginning) String() string { return b.kept.String() }
