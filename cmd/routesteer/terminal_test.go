package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/control"
)

// A terminal is both sides of a pseudo-terminal: ours, and a program's.
type terminal struct {
	t      *testing.T
	ours   *os.File
	theirs *os.File
	seen   bytes.Buffer
}

func newTerminal(t *testing.T, width, height uint16) *terminal {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	number := 0
	err = onDescriptor(ours, func(fd int) (err error) {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		if number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN); err != nil {
			return err
		}
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height})
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &terminal{t: t, ours: ours, theirs: theirs}
}

// start runs a command line of ours on the terminal, as its session's first process.
func (term *terminal) start(environment []string, args ...string) *exec.Cmd {
	term.t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Args[0] = "routesteer" // TestMain knows it by that
	cmd.Env = append(os.Environ(), append(environment, "TERM=xterm")...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.theirs, term.theirs, term.theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		term.t.Fatal(err)
	}
	term.theirs.Close()
	return cmd
}

// until reads until a word has been printed.
func (term *terminal) until(word string) {
	term.t.Helper()
	buffer := make([]byte, 4096)
	for !strings.Contains(term.seen.String(), word) {
		n, err := term.ours.Read(buffer)
		if err != nil {
			term.t.Fatalf("waiting for %q: %v; seen: %q", word, err, term.seen.String())
		}
		term.seen.Write(buffer[:n])
	}
	term.seen.Reset()
}

// fake serves a fake controller, and returns the environment to find it by.
func fake(t *testing.T) []string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "r.sock")
	listener, err := control.Listen(t.Context(), socket, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	controller := &fakeController{admin: api.Admin{State: "ready"}}
	go func() { served <- control.Serve(ctx, listener, controller, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return []string{socketVariable + "=" + socket}
}

// TestTopOnATerminal presses keys on a real one, and looks whether it is given
// back as it was.
func TestTopOnATerminal(t *testing.T) {
	term := newTerminal(t, 100, 30)
	before := settings(t, term.ours)
	cmd := term.start(fake(t), "top")
	term.until("q quit")
	if now := settings(t, term.ours); now.Lflag&unix.ICANON != 0 || now.Lflag&unix.ISIG == 0 {
		t.Error("keys do not come one by one, or Ctrl-C does not interrupt")
	}
	if _, err := io.WriteString(term.ours, "/web2"); err != nil {
		t.Fatal(err)
	}
	term.until("/web2_")
	if _, err := io.WriteString(term.ours, "\r"); err != nil {
		t.Fatal(err)
	}
	term.until("only rows with web2")
	if _, err := io.WriteString(term.ours, "q"); err != nil {
		t.Fatal(err)
	}
	term.until(leaveScreen)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if after := settings(t, term.ours); after.Lflag != before.Lflag {
		t.Errorf("the terminal has flags %#x, had %#x", after.Lflag, before.Lflag)
	}
}

func settings(t *testing.T, file *os.File) *unix.Termios {
	t.Helper()
	var termios *unix.Termios
	if err := onDescriptor(file, func(fd int) (err error) {
		termios, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return termios
}
