package web

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alices = "a-token-of-alice-that-is-long"
	web1s  = "a-token-of-web1-that-is-long"
)

// A fakeOperator answers status and events, and notes what changes are asked for.
type fakeOperator struct {
	api.Operator // for what no test asks

	mu     sync.Mutex
	status api.Status
	looks  int
	asked  []api.DrainRequest
	past   []api.Event
	grown  chan struct{}
}

func newFakeOperator() *fakeOperator { return &fakeOperator{grown: make(chan struct{})} }

func (f *fakeOperator) Status(context.Context) (*api.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	status := f.status
	status.Time = time.Now()
	return &status, nil
}

func (f *fakeOperator) Drain(_ context.Context, request api.DrainRequest) (*api.Moved, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, request)
	return &api.Moved{Did: "drain", Servers: request.Servers, Confirmed: true}, nil
}

func (f *fakeOperator) Reload(context.Context, api.ReloadRequest) (*api.Reloaded, error) {
	return &api.Reloaded{File: "site.yaml"}, nil
}

func (f *fakeOperator) Simulate(context.Context, api.SimulateRequest) (*api.Simulation, error) {
	return &api.Simulation{}, nil
}

func (f *fakeOperator) Explain(_ context.Context, word string) (*api.Explanation, error) {
	return &api.Explanation{VIP: api.VIP{Name: word}}, nil
}

func (f *fakeOperator) Plan(context.Context) (*api.Plan, error) { return &api.Plan{}, nil }

// happen records an event.
func (f *fakeOperator) happen(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.past = append(f.past, api.Event{Seq: uint64(len(f.past) + 1), Time: time.Now(), Kind: "verdict", Reason: reason})
	close(f.grown)
	f.grown = make(chan struct{})
}

func (f *fakeOperator) after(since uint64) ([]api.Event, chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.past[min(since, uint64(len(f.past))):], f.grown
}

func (f *fakeOperator) Events(ctx context.Context, request api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for {
			events, grown := f.after(request.Since)
			for _, event := range events {
				if request.Since = event.Seq; request.Admits(event) && !yield(event, nil) {
					return
				}
			}
			if !request.Follow {
				return
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
		}
	}
}

// A world is a door and what is around it.
type world struct {
	t        *testing.T
	operator *fakeOperator
	sites    chan *topology.Site
	opened   chan string // addresses, as the log tells of them
	warned   chan string // as status would
	url      string      // of the last listener
	client   *http.Client
	dir      string
}

// enter serves until the test ends.
func enter(t *testing.T) *world {
	w := &world{
		t: t, operator: newFakeOperator(), sites: make(chan *topology.Site), opened: make(chan string, 16), warned: make(chan string, 16),
		client: &http.Client{Transport: &http.Transport{DisableCompression: true}}, dir: t.TempDir(),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Serve(ctx, Options{
			Sites: w.follow(ctx), Operator: w.operator, Log: slog.New(w),
			Page:    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") }),
			Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
			Warn:    func(_ context.Context, text string) { w.warned <- text },
		})
	}()
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		cancel()
		<-done
	})
	return w
}

func (w *world) follow(ctx context.Context) iter.Seq[*topology.Site] {
	return func(yield func(*topology.Site) bool) {
		for {
			select {
			case site := <-w.sites:
				if !yield(site) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// Enabled, Handle, WithAttrs and WithGroup make it a log.
func (w *world) Enabled(context.Context, slog.Level) bool { return true }

func (w *world) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "listen" {
			w.opened <- a.Value.String()
		}
		return true
	})
	return nil
}

func (w *world) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w *world) WithGroup(string) slog.Handler      { return w }

// become makes the file say that.
func (w *world) become(web topology.Web) {
	w.t.Helper()
	w.sites <- &topology.Site{Web: web}
}

// obeys makes the file say that, and returns when it is so.
func (w *world) obeys(web topology.Web) {
	w.t.Helper()
	for range 3 { // the first has been dealt with when the third is taken
		w.become(web)
	}
}

// listens waits until it is told where.
func (w *world) listens() {
	w.t.Helper()
	w.url = "http://" + receive(w.t, w.opened)
}

// offer has it listen on loopback, with alice's token and one that is good for
// web1 only.
func (w *world) offer(read topology.Reading) topology.Web {
	w.t.Helper()
	web := topology.Web{Listen: freePort(w.t), Read: read, Tokens: []topology.Token{
		{Name: "alice", Secret: topology.Secret{File: w.file("alice", alices+"\n")}},
		{Name: "web1", Secret: topology.Secret{File: w.file("web1", web1s+"\n")}, Servers: []topology.ServerName{"web1"}},
	}}
	w.become(web)
	w.listens()
	return web
}

// file writes a file that only we may read.
func (w *world) file(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// code is the error's, "" for none.
func (a answer) code() api.ErrorCode {
	failure := api.Error{}
	if json.Unmarshal([]byte(a.body), &failure) != nil {
		return ""
	}
	return failure.Code
}

// ask sends a request with headers "Name: value".
func (w *world) ask(method, path, body string, headers ...string) answer {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", api.JSONType)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			request.Host = value
		}
		request.Header.Set(name, value)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text), err}
}

func bearing(token string) string { return "Authorization: Bearer " + token }

// freePort is a port of loopback that nobody listens on.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// receive waits for what a channel brings, but not for ever.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// secure is a client that trusts authorities and shows certificates.
func secure(config *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
}
