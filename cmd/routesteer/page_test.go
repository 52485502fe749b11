package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/control"
)

// A controller that offers no http has its page served by the command, and what
// is asked there with the token is asked of it.
func TestThePageOfAControllerThatOffersNone(t *testing.T) {
	var told bytes.Buffer // written before the log says that it listens
	log, to := io.Pipe()
	a := &app{stdout: &told, stderr: to, socket: serveFake(t)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- a.page(ctx, freePort(t))
		to.Close()
	}()
	lines := bufio.NewScanner(log)
	if !lines.Scan() || !strings.Contains(lines.Text(), "listen=") {
		t.Fatalf("%s; %v", lines.Text(), <-ended)
	}
	go io.Copy(io.Discard, log)
	url, rest, _ := strings.Cut(told.String(), "\n")
	line, _, _ := strings.Cut(rest, "\n")
	token := strings.TrimPrefix(line, "The token, for changes: ")

	if body := get(t, url+"/", ""); !strings.Contains(body, "<title>routesteer") {
		t.Errorf("no page: %.200s", body)
	}
	if body := get(t, url+"/v1/plan", token); !strings.Contains(body, `"changes"`) {
		t.Errorf("no answer of the controller: %.200s", body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A port that is taken is told at once.
func TestThePageSaysThatItsPortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	a := &app{stdout: io.Discard, stderr: io.Discard, socket: serveFake(t)}
	if err := a.page(t.Context(), taken.Addr().String()); err == nil || !strings.Contains(err.Error(), "another program does") {
		t.Errorf("got %v", err)
	}
}

// serveFake starts a fake controller, and returns its socket.
func serveFake(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "r.sock")
	listener, err := control.Listen(t.Context(), socket, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- control.Serve(ctx, listener, &fakeController{admin: api.Admin{State: "ready"}, ends: "idle"}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// freePort returns a loopback address at which nobody listens.
func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// get returns what is answered to a request with a token, if it is not "".
func get(t *testing.T, url, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
