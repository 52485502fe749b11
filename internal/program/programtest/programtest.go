// Package programtest is for tests of what becomes of programs.
package programtest

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a program may take to end.
const patience = 30 * time.Second

// AwaitEnd waits for the end of a process that is no child of ours, and fails the test
// if it lives on.
func AwaitEnd(t testing.TB, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	n, err := 0, error(unix.EINTR)
	for errors.Is(err, unix.EINTR) { // by the Go runtime's own signals
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
	}
	if err != nil || n == 0 {
		t.Fatalf("process %d lives: %v", pid, err)
	}
}
