package lab

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/internal/netns"
)

// TestMain makes the test binary the lab's own program, as cmd/routesteer is,
// and runs the tests where namespaces may be made.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "lab-node":
			exit(Node(context.Background(), os.Args[2:], os.Stdin, os.Stdout))
		case "lab-controller":
			exit(runController(os.Args[2:]))
		case "lab-until-killed":
			exit(labUntilKilled(os.Args[2]))
		}
	}
	// With the race detector the end of every child would take a second more.
	if err := os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0"); err != nil {
		exit(err)
	}
	if err := netns.Enter(); err != nil {
		exit(err)
	}
	goleak.VerifyTestMain(m)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// shortDir makes a directory for labs. That of t.TempDir has the test's name in
// it, and a Unix socket's path may have 107 characters.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// start starts a lab that ends with the test.
func start(t *testing.T, options Options) *Lab {
	t.Helper()
	if options.Base == "" {
		options.Base = shortDir(t)
	}
	l, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	return l
}

func do(t *testing.T, l *Lab, action Action, server string) {
	t.Helper()
	if err := l.Do(t.Context(), action, server); err != nil {
		t.Fatal(err)
	}
}

// measure runs f under load and returns what happened from its start until
// the given time after it.
func measure(t *testing.T, l *Lab, options LoadOptions, after time.Duration, f func()) Figures {
	t.Helper()
	load, err := l.StartLoad(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	window := load.Open()
	f()
	if err := pause(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	figures, err := window.Close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := load.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s in %s; %d late, results %v, generator CPU %s since its start", figures, figures.Span.Round(time.Millisecond),
		figures.Late, figures.Results, load.CPU())
	return figures
}

func route(t *testing.T, l *Lab, vip VIP, server string) {
	t.Helper()
	if err := l.Route(t.Context(), vip, server); err != nil {
		t.Fatal(err)
	}
}

// wantWords checks that an error has them in it.
func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("got error %v, want %q in it", err, word)
		}
	}
}
