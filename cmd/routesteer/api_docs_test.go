package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/control"
	"github.com/routesteer/routesteer/internal/metrics"
	"github.com/routesteer/routesteer/internal/web"
	"github.com/routesteer/routesteer/topology"
)

// TestTheAPIsManualCanBeTyped runs every command of docs/api.md, with a fake
// controller behind the real socket, listener and metrics.
func TestTheAPIsManualCanBeTyped(t *testing.T) {
	manual, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at, socket := serveEverywhere(t, dir)
	here := strings.NewReplacer("127.0.0.1:8080", at, "/etc/routesteer/", dir+"/", "/run/routesteer/routesteer.sock", socket)
	commands := 0
	for _, block := range strings.Split(string(manual), "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			commands++
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", here.Replace(line)).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", strings.TrimSpace(line), err, out)
			} else if len(out) == 0 {
				t.Errorf("%s: no answer", strings.TrimSpace(line))
			}
		}
	}
	if commands < 10 {
		t.Errorf("only %d commands were found", commands)
	}
}

// serveEverywhere serves a fake controller by HTTP and on a socket until the test ends.
func serveEverywhere(t *testing.T, dir string) (at, socket string) {
	t.Helper()
	listen := netip.MustParseAddrPort(freePort(t))
	for name, text := range map[string]string{"alice.token": "the-token-of-alice\n", "web1.token": "the-token-of-web1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	site := &topology.Site{Web: topology.Web{Listen: listen, Read: topology.ReadAnyone, Tokens: []topology.Token{
		{Name: "alice", Secret: topology.Secret{File: dir + "/alice.token"}},
		{Name: "web1", Secret: topology.Secret{File: dir + "/web1.token"}, Servers: []topology.ServerName{"web1"}},
	}}}
	socket = dir + "/r.sock"
	listener, err := control.Listen(t.Context(), socket, "")
	if err != nil {
		t.Fatal(err)
	}
	fake := &fakeController{admin: api.Admin{State: "ready"}, ends: "idle"}
	ctx, cancel := context.WithCancel(context.Background())
	opened, done := make(opening), make(chan error, 2)
	go func() { done <- control.Serve(ctx, listener, fake, slog.New(slog.DiscardHandler)) }()
	go func() {
		web.Serve(ctx, web.Options{
			Sites: only(ctx, site), Operator: fake, Log: slog.New(opened), Page: http.NotFoundHandler(), Warn: func(context.Context, string) {},
			Metrics: metrics.New(metrics.Options{Operator: fake, Tally: func(context.Context) (*api.Tally, error) { return &api.Tally{}, nil }}),
		})
		done <- nil
	}()
	<-opened
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return listen.String(), socket
}
