package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/rights"
	"github.com/routesteer/routesteer/topology"
)

const (
	maxOutput = 1024                   // of a program, or of an answer, that is kept
	lastWords = 500 * time.Millisecond // for the output of a program that has ended, or was killed
)

// A program is started for each message. One that fails is not started again: nobody knows
// what it has done.
type program struct{ config topology.NotifyExec }

func (p program) send(ctx context.Context, message Message) error {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	output := &beginning{}
	err := unprivileged(func() error { return p.run(ctx, message, output) })
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		err = fmt.Errorf("it was killed after %s", p.config.Timeout)
	}
	if line := output.line(); line != "" {
		err = fmt.Errorf("%w: %s", err, line)
	}
	return &fault{err: fmt.Errorf("run %s: %w", p.config.Command[0], err), final: true}
}

// run runs the program, and kills at its end, or at ctx's, what it has started.
func (p program) run(ctx context.Context, message Message, output *beginning) error {
	input, err := json.Marshal(message)
	if err != nil {
		panic("notify: cannot write a message as JSON: " + err.Error())
	}
	cmd := exec.CommandContext(ctx, p.config.Command[0], p.config.Command[1:]...)
	cmd.Dir, cmd.Env = "/", environment(message)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // the whole group
	cmd.WaitDelay = lastWords
	if err := cmd.Start(); err != nil {
		return err
	}
	endGroup(cmd.Process.Pid)
	return cmd.Wait()
}

// endGroup waits for a program to end and kills what it has started and left behind in its group. The program is
// not reaped yet, so that its number is nobody else's.
func endGroup(pid int) {
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	_ = unix.Kill(-pid, unix.SIGKILL) // there is mostly nobody
}

// unprivileged runs f on a thread of its own that has given up its capabilities, and
// ends with f: what f starts has none.
func unprivileged(f func() error) error {
	result := make(chan error, 1)
	go onOwnThread(func() {
		if err := rights.Renounce(); err != nil {
			result <- err
			return
		}
		result <- f()
	})
	return <-result
}

// onOwnThread runs f on a thread that serves nothing else afterwards, and is not the
// main one, which cannot end.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return // locked: the thread ends with the goroutine
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

// environment is all that the program gets of it: nothing of ours.
func environment(m Message) []string {
	variables := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"ROUTESTEER_NOTIFIER=" + m.Notifier,
		"ROUTESTEER_HOST=" + m.Host,
		"ROUTESTEER_STATUS=" + m.Status,
		"ROUTESTEER_SEVERITY=" + m.Severity,
		"ROUTESTEER_TITLE=" + m.Title,
		"ROUTESTEER_TEXT=" + m.Text,
		"ROUTESTEER_EVENTS=" + strconv.Itoa(m.Total),
	}
	return variables
}

// A beginning keeps the beginning of what is written to it.
type beginning struct{ kept bytes.Buffer }

func (b *beginning) Write(text []byte) (int, error) {
	b.kept.Write(text[:min(len(text), maxOutput-b.kept.Len())])
	return len(text), nil
}

// line is the first line that is not empty, as it can be shown.
func (b *beginning) line() string {
	for line := range strings.SplitSeq(b.kept.String(), "\n") {
		if line = strings.TrimSpace(oneLine(strings.ToValidUTF8(line, "\ufffd"))); line != "" {
			return cut(line, maxTitle)
		}
	}
	return ""
}
