package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
)

// systemd listens as systemd does and returns the environment it gives.
func systemd(t *testing.T, watchdogUsec string) (env func(string) string, said func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	env = func(key string) string {
		return map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": watchdogUsec}[key]
	}
	return env, func() string {
		buffer := make([]byte, 4096)
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
}

func TestSystemdIsToldHowWeAre(t *testing.T) {
	env, said := systemd(t, "30000")
	n := newNotifier(env)
	running := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.attend(ctx, running, &fakeController{admin: api.Admin{State: "ready"}}) }()
	close(running)
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := said(); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	n.reloading()
	for got := said(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC="); got = said() {
		if got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	cancel()
	for got := said(); got != "STOPPING=1"; got = said() {
		if got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWithoutSystemdNobodyIsTold(t *testing.T) {
	n := newNotifier(func(string) string { return "" })
	n.ready() // must not panic
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.attend(ctx, make(chan struct{}), nil); err != nil {
		t.Error(err)
	}
}
