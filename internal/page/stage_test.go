package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/control"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/page"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const token = "open-sesame"

// A stage is a real controller with routers in memory and servers made of words,
// behind the page.
type stage struct {
	t       *testing.T
	url     string
	control *controller.Controller
	routers map[string]*mem.Router
	senses  *senses
	silent  atomic.Bool // the controller's side does not answer
	server  *httptest.Server
}

// A setting is what a stage is made of besides its site.
type setting func(*stage)

// newStage starts a controller of a site, waits until all is known, and serves it.
func newStage(t *testing.T, site string, settings ...setting) *stage {
	t.Helper()
	s := &stage{t: t, routers: map[string]*mem.Router{}, senses: &senses{ill: map[health.Target]string{}, alone: map[topology.ServerName]string{}}}
	parsed, err := topology.Parse("site.yaml", []byte(site))
	if err != nil {
		t.Fatal(err)
	}
	for _, router := range parsed.Routers {
		s.routers[string(router.Name)] = mem.NewRouter()
	}
	for _, set := range settings {
		set(s)
	}
	s.control, err = controller.New(controller.Options{
		Load: func() (*topology.Site, error) { return topology.Parse("site.yaml", []byte(site)) },
		Open: s.open,
		Sense: func(news chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
			s.senses.news = news
			return s.senses, nil
		},
		StateFile: filepath.Join(t.TempDir(), "state.json"), Version: "1.0", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.run()
	s.senses.tell()
	s.wait("every VIP is routed", func(status *api.Status) bool {
		for _, vip := range status.VIPs {
			if !vip.InSync {
				return false
			}
		}
		return true
	})
	return s
}

func (s *stage) open(router topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
	var prefixes []netip.Prefix
	for _, vip := range cohorts.Site().VIPs {
		prefixes = append(prefixes, vip.Prefix)
	}
	return s.routers[string(router.Name)].Open(prefixes), nil
}

// run starts the controller, its socket, and the page on HTTP. All ends with the test.
func (s *stage) run() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	socket := filepath.Join(s.t.TempDir(), "r.sock")
	listener, err := control.Listen(ctx, socket, "")
	if err != nil {
		s.t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _ = s.control.Run(ctx) })
	group.Go(func() { _ = control.Serve(ctx, listener, s.control, slog.New(slog.DiscardHandler)) })
	<-s.control.Running()
	s.server = httptest.NewServer(s.handler(socket))
	s.url = s.server.URL
	s.t.Cleanup(func() {
		s.server.CloseClientConnections()
		cancel()
		s.server.Close()
		group.Wait()
	})
}

// handler is what stands before the socket: the page, a stream of events, and tokens
// for changes.
func (s *stage) handler(socket string) http.Handler {
	target, _ := url.Parse("http://routesteer")
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", socket)
	}}
	pages := page.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.silent.Load():
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/v1/events/stream":
			s.stream(w, r)
		case r.Method == http.MethodPost && r.Header.Get("Authorization") != "Bearer "+token:
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(api.Error{Code: "unauthorized", Message: "changes need a token"})
		case strings.HasPrefix(r.URL.Path, "/v1/"):
			proxy.ServeHTTP(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	})
}

// stream sends events as they happen.
func (s *stage) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := bufio.NewWriter(w)
	fmt.Fprint(out, ": hello\n\n")
	flush := func() { _ = out.Flush(); _ = http.NewResponseController(w).Flush() }
	flush()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	since := uint64(0)
	_, _ = fmt.Sscan(r.Header.Get("Last-Event-ID"), &since)
	for event, err := range s.control.Events(ctx, api.EventsRequest{Since: since, Follow: true}) {
		if err != nil || s.silent.Load() {
			return
		}
		text, _ := json.Marshal(event)
		fmt.Fprintf(out, "id: %d\ndata: %s\n\n", event.Seq, text)
		flush()
	}
}

// wait waits until the status is so.
func (s *stage) wait(what string, is func(*api.Status) bool) *api.Status {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		status, err := s.control.Status(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if is(status) {
			return status
		}
		if time.Now().After(end) {
			s.t.Fatalf("not within 20 s: %s; warnings %q", what, status.Warnings)
		}
	}
}

// fall makes a server fail all its checks from now on, and rise ends that.
func (s *stage) fall(server topology.ServerName, why string) {
	s.senses.set(server, why)
	s.senses.tell(server)
}

func (s *stage) rise(server topology.ServerName) { s.fall(server, "") }

// senses stand in for health/probe: servers are well unless a test says so.
type senses struct {
	news chan<- health.News

	mu    sync.Mutex
	site  *topology.Site
	ill   map[health.Target]string
	alone map[topology.ServerName]string // of all a server's checks
}

func (s *senses) Set(site *topology.Site) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.site = site
	return nil
}

func (s *senses) set(server topology.ServerName, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alone[server] = why
}

func (s *senses) failure(target health.Target) string {
	if why := s.alone[target.Server]; why != "" {
		return why
	}
	return s.ill[target]
}

func (*senses) Pace(health.Target, health.Pace) {}
func (*senses) Use(health.Target, netip.Addr)   {}
func (*senses) Ask()                            {}
func (*senses) Close() error                    { return nil }

func (s *senses) Check(_ context.Context, targets []health.Target) []health.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	var results []health.Result
	for _, target := range targets {
		results = append(results, health.Result{Target: target, Started: time.Now(), Took: time.Millisecond, Failure: s.failure(target)})
	}
	return results
}

// tell sends one result for every target of these servers; of all without any.
func (s *senses) tell(servers ...topology.ServerName) {
	s.mu.Lock()
	site := s.site
	s.mu.Unlock()
	var targets []health.Target
	for _, judge := range site.Judges() {
		for _, server := range judge.Servers {
			if len(servers) == 0 || servers[0] == server {
				targets = append(targets, health.Target{Server: server, VIP: judge.VIP.Prefix})
			}
		}
	}
	for _, result := range s.Check(context.Background(), targets) {
		s.news <- result
	}
}
