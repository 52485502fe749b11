package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// readyWord is the line with which a server process says that it listens.
const readyWord = "ready"

// startTimeout bounds the start of one process of the lab.
const startTimeout = 10 * time.Second

// A process is one child in a namespace. Its fields are immutable once
// started; err may be read when done is closed.
type process struct {
	name string
	log  string // file with what it wrote to stderr
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// startProcess starts argv on the host. Its stderr goes to a file in dir; its
// stdin and stdout are those given, or nothing.
func startProcess(h *host, dir, name string, argv []string, stdin, stdout *os.File) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stderr = log
	if stdin != nil {
		p.cmd.Stdin = stdin
	}
	p.cmd.Stdout = log
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	// A group of its own: the terminal's Ctrl-C is the lab's to act on.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := h.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// signal sends a signal; a process that has ended already is no error.
func (p *process) signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", s, p.name, err)
	}
	return nil
}

// kill ends the process at once and waits until it has.
func (p *process) kill() error {
	err := p.signal(syscall.SIGKILL)
	<-p.done
	return err
}

// freeze stops the process, as SIGSTOP does, and returns when it has stopped.
func (p *process) freeze() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	var info unix.Siginfo
	// Only a look: the end of the process is Wait's to collect.
	err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
	if err != nil || !p.running() {
		return fmt.Errorf("%s does not run any more: restore it first", p.name)
	}
	return nil
}

// stop asks the process to end and kills it if it does not within the grace.
func (p *process) stop(grace time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return p.kill()
	}
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// lastWords returns the end of what the process wrote to stderr, for errors.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	text = bytes.TrimSpace(text[max(0, len(text)-2000):])
	if len(text) == 0 {
		return "it wrote nothing to stderr"
	}
	return "its last words:\n" + string(text)
}

// awaitReady waits for the ready line on the process's stdout and closes it.
func (p *process) awaitReady(stdout *os.File) error {
	defer stdout.Close()
	if err := stdout.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return fmt.Errorf("wait for %s: %w", p.name, err)
	}
	line := make([]byte, len(readyWord)+1)
	if _, err := io.ReadFull(stdout, line); err != nil {
		return fmt.Errorf("wait until %s is ready: %w; %s", p.name, err, p.lastWords())
	}
	if strings.TrimSpace(string(line)) != readyWord {
		return fmt.Errorf("wait until %s is ready: it said %q", p.name, line)
	}
	return nil
}
