package page_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/page"
	"github.com/routesteer/routesteer/internal/web"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const token = "a-token-of-alice-that-is-long"

// A stage is a real controller with routers in memory and servers made of words,
// behind the page.
type stage struct {
	t       *testing.T
	url     string
	control *controller.Controller
	routers map[string]*mem.Router
	senses  *senses
	hide    func() // closes the door

	mu   sync.Mutex
	file string // the site's
}

// newStage starts a controller of a site, waits until all is known, and serves it.
func newStage(t *testing.T, site string) *stage {
	t.Helper()
	s := startStage(t, site)
	s.senses.tell()
	s.wait("every VIP is routed", func(status *api.Status) bool {
		return !slices.ContainsFunc(status.VIPs, func(vip api.VIP) bool { return !vip.InSync || len(vip.Wanted) == 0 })
	})
	return s
}

// startStage does not wait: nothing is known yet of any server.
func startStage(t *testing.T, site string) *stage {
	t.Helper()
	s := &stage{t: t, routers: map[string]*mem.Router{}, senses: &senses{ill: map[health.Target]string{}, alone: map[topology.ServerName]string{}}}
	s.file = s.door(site)
	parsed, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	for _, router := range parsed.Routers {
		s.routers[string(router.Name)] = mem.NewRouter()
	}
	s.control, err = controller.New(controller.Options{
		Load: s.load,
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
	return s
}

func (s *stage) load() (*topology.Site, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return topology.Parse("site.yaml", []byte(s.file))
}

// reload has the file say more of its door.
func (s *stage) reload(more string) {
	s.t.Helper()
	s.mu.Lock()
	s.file = strings.Replace(s.file, "http: {listen:", "http: {"+more+"listen:", 1)
	s.mu.Unlock()
	if _, err := s.control.Reload(s.t.Context(), api.ReloadRequest{}); err != nil {
		s.t.Fatal(err)
	}
	s.senses.tell()
}

func (s *stage) open(router topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
	var prefixes []netip.Prefix
	for _, vip := range cohorts.Site().VIPs {
		prefixes = append(prefixes, vip.Prefix)
	}
	return s.routers[string(router.Name)].Open(prefixes), nil
}

// run starts the controller and its door. All ends with the test.
func (s *stage) run() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.control.Run(ctx)
	}()
	<-s.control.Running()
	s.serve()
	s.t.Cleanup(func() {
		s.hide()
		cancel()
		<-ended
	})
}

// serve opens the controller's door, until hide or the test's end.
func (s *stage) serve() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, bell := make(chan struct{}), make(doorbell, 1)
	go func() {
		defer close(ended)
		web.Serve(ctx, web.Options{
			Sites: s.control.Sites(ctx), Operator: s.control, Page: page.Handler(), Metrics: http.NotFoundHandler(),
			Warn: func(ctx context.Context, text string) { _ = s.control.Warn(ctx, "http", text) }, Log: slog.New(slog.NewTextHandler(bell, nil)),
		})
	}()
	s.hide = func() {
		cancel()
		<-ended
	}
	select {
	case <-bell:
	case <-time.After(patience):
		s.t.Fatalf("the door is not open within %s", patience)
	}
}

// A doorbell is a log that tells when the door is open.
type doorbell chan struct{}

func (b doorbell) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(" listen=")) {
		select {
		case b <- struct{}{}:
		default:
		}
	}
	return len(line), nil
}

// door adds to a site where it is offered, on a port that was free, and who may
// make changes.
func (s *stage) door(site string) string {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer listener.Close()
	file := filepath.Join(s.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	return site + fmt.Sprintf("http: {listen: %q, tokens: {alice: {file: %s}}}\n", listener.Addr(), file)
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

// wait waits until the status is so, which it is asked for when something happens.
func (s *stage) wait(what string, is func(*api.Status) bool) *api.Status {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	news := s.news(ctx)
	for {
		status, err := s.control.Status(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if is(status) {
			return status
		}
		select {
		case <-news:
		case <-ctx.Done():
			s.t.Fatalf("not within %s: %s; warnings %q", patience, what, status.Warnings)
		}
	}
}

// news tells that something has happened since it was last heard.
func (s *stage) news(ctx context.Context) <-chan struct{} {
	news := make(chan struct{}, 1)
	go func() {
		for _, err := range s.control.Events(ctx, api.EventsRequest{Follow: true}) {
			if err != nil {
				return // the test's end, which ctx tells
			}
			select {
			case news <- struct{}{}:
			default: // it will look anyway
			}
		}
	}()
	return news
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
