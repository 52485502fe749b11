package control

import (
	"context"
	"iter"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeOperator answers with fixed values and remembers what it was asked.
type fakeOperator struct {
	err   error         // if set, every method's answer
	block chan struct{} // if set, Drain sends on it, waits for ctx and then closes it
	live  chan api.Event

	mu    sync.Mutex
	asked []any
}

func (f *fakeOperator) note(request any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, request)
	return f.err
}

func (f *fakeOperator) last() any {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asked) == 0 {
		return nil
	}
	return f.asked[len(f.asked)-1]
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (f *fakeOperator) Status(context.Context) (*api.Status, error) {
	return &api.Status{Version: "v1", Time: noon, Warnings: []string{"look here"}}, f.note("status")
}

func (f *fakeOperator) Plan(context.Context) (*api.Plan, error) {
	return &api.Plan{Commands: []string{"ip route replace"}}, f.note("plan")
}

func (f *fakeOperator) Drain(ctx context.Context, request api.DrainRequest) (*api.Moved, error) {
	if f.block != nil {
		f.block <- struct{}{}
		<-ctx.Done()
		close(f.block)
		return nil, &api.Error{Code: api.Unconfirmed, Message: "edge has not confirmed"}
	}
	return &api.Moved{Did: "drain", Servers: request.Servers, Confirmed: true}, f.note(request)
}

func (f *fakeOperator) Undrain(_ context.Context, request api.UndrainRequest) (*api.Moved, error) {
	return &api.Moved{Did: "undrain", Servers: request.Servers}, f.note(request)
}

func (f *fakeOperator) Pin(_ context.Context, request api.PinRequest) (*api.Moved, error) {
	return &api.Moved{Did: "pin", Servers: []string{request.Server}}, f.note(request)
}

func (f *fakeOperator) Unpin(_ context.Context, request api.UnpinRequest) (*api.Moved, error) {
	return &api.Moved{Did: "unpin", Of: []string{request.VIP}}, f.note(request)
}

func (f *fakeOperator) Failback(_ context.Context, request api.FailbackRequest) (*api.Moved, error) {
	return &api.Moved{Did: "failback", Of: request.Of}, f.note(request)
}

func (f *fakeOperator) Resume(_ context.Context, request api.ResumeRequest) (*api.Moved, error) {
	return &api.Moved{Did: "resume"}, f.note(request)
}

func (f *fakeOperator) Transitions(_ context.Context, server string) ([]api.Transition, error) {
	return []api.Transition{{VIP: "203.0.113.32/27", From: []string{server}, State: api.Ending}}, f.note("transitions " + server)
}

func (f *fakeOperator) Explain(_ context.Context, word string) (*api.Explanation, error) {
	return &api.Explanation{VIP: api.VIP{Name: word}}, f.note("explain " + word)
}

func (f *fakeOperator) Simulate(_ context.Context, request api.SimulateRequest) (*api.Simulation, error) {
	return &api.Simulation{File: "site.yaml", VIPs: len(request.Steps)}, f.note(request)
}

func (f *fakeOperator) Check(_ context.Context, server string) ([]api.CheckResult, error) {
	return []api.CheckResult{{Server: server, OK: true}}, f.note("check " + server)
}

func (f *fakeOperator) Reload(_ context.Context, request api.ReloadRequest) (*api.Reloaded, error) {
	return &api.Reloaded{File: "site.yaml"}, f.note(request)
}

// Events yields events 1 to 3, and with follow whatever comes on live.
func (f *fakeOperator) Events(ctx context.Context, request api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for seq := request.Since + 1; seq <= 3; seq++ {
			if !yield(api.Event{Seq: seq, Kind: "admin"}, nil) {
				return
			}
		}
		if f.err != nil {
			yield(api.Event{}, f.err)
			return
		}
		for request.Follow {
			select {
			case event := <-f.live:
				if !yield(event, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// serve serves operator on a fresh socket until the test ends.
func serve(t *testing.T, operator api.Operator) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "r.sock")
	stop := serveAt(t, path, operator)
	t.Cleanup(stop)
	return path
}

// serveAt serves operator at path until stop is called.
func serveAt(t *testing.T, path string, operator api.Operator) (stop func()) {
	t.Helper()
	listener, err := Listen(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, listener, operator, slog.New(slog.DiscardHandler)) }()
	return func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}
