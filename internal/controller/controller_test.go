package controller_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const article = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13, web4: 192.0.2.14}
checks: {web: {http: {port: 80}, rise: 1, fall: 1}}
vips:
  - {prefix: 203.0.113.32/27, check: web, primary: web1, backup: web2}
  - {prefix: 203.0.113.64/27, check: web, primary: web2, backup: web3}
routers: {edge: {linux: {}}, core: {linux: {table: 100}}}
`

var (
	vip1 = netip.MustParsePrefix("203.0.113.32/27")
	vip2 = netip.MustParsePrefix("203.0.113.64/27")
)

// A world is a controller with routers in memory and servers made of words.
type world struct {
	t       *testing.T
	file    string // the configuration
	dir     string
	edge    *mem.Router
	core    *mem.Router
	senses  *senses
	log     *slog.Logger
	control *controller.Controller
	stop    func()
	wrap    func(*mem.Driver) drivers.Driver // edge's driver; nil for none
	kept    string                           // the file of events; "" for none
}

// senses stand in for health/probe: servers are well unless a test says so.
type senses struct {
	mu    sync.Mutex
	news  chan<- health.News
	site  *topology.Site
	ill   map[health.Target]string
	says  map[health.Target]health.Said // what agents answer to Check
	wrong error                         // what Set answers
	asked int                           // how often Ask was called
	inUse map[health.Target]netip.Addr
	paces map[health.Target]health.Pace

	during  func() // happens while Check is under way; nil for nothing
	setting func() // the same of Set
}

func (s *senses) Set(site *topology.Site) error {
	if s.setting != nil {
		s.setting()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong != nil {
		return s.wrong
	}
	s.site = site
	return nil
}

// Pace keeps what it was told.
func (s *senses) Pace(target health.Target, pace health.Pace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paces == nil {
		s.paces = map[health.Target]health.Pace{}
	}
	s.paces[target] = pace
}

// Use keeps what it was told.
func (s *senses) Use(target health.Target, address netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse == nil {
		s.inUse = map[health.Target]netip.Addr{}
	}
	s.inUse[target] = address
}

// Ask notes that witnesses were to be asked.
func (s *senses) Ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
}

func (s *senses) Close() error { return nil }

func (s *senses) Check(_ context.Context, targets []health.Target) []health.Result {
	if s.during != nil {
		s.during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var results []health.Result
	for _, target := range targets {
		result := health.Result{Target: target, Started: time.Now(), Failure: s.ill[target]}
		if said, speaks := s.says[target]; speaks {
			result.Said = &said
		}
		results = append(results, result)
	}
	return results
}

// tell sends one result for every target.
func (s *senses) tell() {
	s.mu.Lock()
	site, ill := s.site, s.ill
	s.mu.Unlock()
	for _, judge := range site.Judges() {
		for _, server := range judge.Servers {
			target := health.Target{Server: server, VIP: judge.VIP.Prefix}
			s.news <- health.Result{Target: target, Started: time.Now(), Failure: ill[target]}
		}
	}
}

// falls makes a server fail for these VIPs from now on.
func (s *senses) falls(server topology.ServerName, why string, vips ...netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, vip := range vips {
		s.ill[health.Target{Server: server, VIP: vip}] = why
	}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, file: article, dir: t.TempDir(), edge: mem.NewRouter(), core: mem.NewRouter(), log: slog.New(slog.DiscardHandler)}
	return w
}

// start starts the controller and waits until it has nothing left to do.
func (w *world) start() {
	w.t.Helper()
	if w.senses == nil {
		w.senses = &senses{ill: map[health.Target]string{}}
	}
	control, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) { return topology.Parse("site.yaml", []byte(w.file)) },
		Open: w.open,
		Sense: func(news chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
			w.senses.news = news
			return w.senses, nil
		},

		EventsFile: w.kept,
		StateFile:  filepath.Join(w.dir, "state.json"), Version: "test", Log: w.log,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- control.Run(ctx) }()
	w.control = control
	w.stop = func() {
		w.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the controller ended with %v", err)
		}
	}
	<-control.Running()
	w.settle()
}

func (w *world) open(router topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
	var prefixes []netip.Prefix
	for _, vip := range cohorts.Site().VIPs {
		prefixes = append(prefixes, vip.Prefix)
	}
	if router.Name == "edge" {
		return w.openWith(prefixes), nil
	}
	return w.core.Open(prefixes), nil
}

// later lets fake time pass, and all act on it.
func (w *world) later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// settle gives one round of results and waits until all have acted on it.
func (w *world) settle() {
	w.senses.tell()
	synctest.Wait()
}

func (w *world) status() *api.Status {
	w.t.Helper()
	status, err := w.control.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return status
}

// wantRoutes fails unless the router has just these: "web1 web2" for the VIPs
// in order, "-" for none.
func (w *world) wantRoutes(name string, router *mem.Router, want string) {
	w.t.Helper()
	server := map[string]string{"192.0.2.11": "web1", "192.0.2.12": "web2", "192.0.2.13": "web3", "192.0.2.14": "web4"}
	got := []string{"-", "-"}
	for _, route := range router.Look() {
		switch route.Prefix {
		case vip1:
			got[0] = server[steer.FormatNextHops(route.NextHops)]
		case vip2:
			got[1] = server[steer.FormatNextHops(route.NextHops)]
		}
	}
	if text := strings.Join(got, " "); text != want {
		w.t.Errorf("%s routes %s, want %s", name, text, want)
	}
}

func route(prefix netip.Prefix, server int) steer.Route {
	address := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + server)})
	return steer.Route{Prefix: prefix, NextHops: []steer.NextHop{{Address: address, Weight: 1}}}
}

// inWorld runs a test in fake time.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(t, w)
	})
}

func TestAStartRoutesEachVIPToItsPrimary(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.wantRoutes("edge", w.edge, "web1 web2")
		w.wantRoutes("core", w.core, "web1 web2")
		status := w.status()
		if len(status.Warnings) != 0 || !status.VIPs[0].InSync || !status.Routers[1].InSync {
			w.t.Errorf("all is well and status says %+v", status)
		}
	})
}

func TestAStartAdoptsWhatItFindsAndChangesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, router := range []*mem.Router{w.edge, w.core} {
			router.Plant(route(vip1, 2))
			router.Plant(route(vip2, 2))
		}
		w.start()
		w.wantRoutes("edge", w.edge, "web2 web2")
		if n := w.edge.Changes() + w.core.Changes(); n != 0 {
			t.Errorf("%d changes at a start, want 0", n)
		}
		w.stop()
		w.wantRoutes("edge, after the controller stopped,", w.edge, "web2 web2")
		w.start()
		defer w.stop()
		if n := w.edge.Changes() + w.core.Changes(); n != 0 {
			t.Errorf("%d changes after a restart, want 0", n)
		}
		w.later(61 * time.Second)
		w.settle()
		w.wantRoutes("edge, a minute later,", w.edge, "web1 web2")
	})
}

func TestARouterThatIsReadLateIsAdoptedWhereNothingIsClaimed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.core.Plant(route(vip1, 2))
		w.core.Cut()
		w.senses = &senses{ill: map[health.Target]string{}}
		w.senses.falls("web1", "connection refused", vip1)
		w.senses.falls("web2", "connection refused", vip1)
		w.start()
		defer w.stop()
		w.wantRoutes("edge", w.edge, "- web2")
		w.core.Mend()
		w.later(time.Minute)
		w.wantRoutes("core", w.core, "web2 web2")
		w.wantRoutes("edge, as if core had been read at the start,", w.edge, "web2 web2")
		if vip := w.status().VIPs[0]; !vip.InSync {
			t.Errorf("status says %+v", vip)
		}
	})
}

func TestALostServersVIPMovesWithoutAGap(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge", w.edge, "web2 web2")
		w.wantRoutes("core", w.core, "web2 web2")
		if w.edge.Gaps(vip1) != 0 {
			t.Error("there was a moment without a route")
		}
		var story []string
		for event, err := range w.control.Events(t.Context(), api.EventsRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			if event.VIP == vip1.String() && event.From != "" && event.Router != "core" {
				story = append(story, fmt.Sprintf("%s %s%s %s>%s", event.Kind, event.Router, event.Server, event.From, event.To))
			}
		}
		want := []string{"verdict web1 up>down", "assignment  web1>web2", "route edge web1>web2"}
		if got := story[max(0, len(story)-3):]; !slices.Equal(got, want) {
			t.Errorf("the journal tells %q, want %q", got, want)
		}
	})
}

func TestADrainMovesIsKeptAndComesBackAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Reason: "kernel", By: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if !moved.Confirmed || moved.Unchanged || len(moved.VIPs) != 1 || moved.VIPs[0].To[0] != "web2" {
			t.Errorf("the drain answers %+v", moved)
		}
		w.wantRoutes("edge", w.edge, "web2 web2")
		if again, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, By: "bob"}); err != nil || !again.Unchanged {
			t.Errorf("draining twice: %+v, %v; want unchanged", again, err)
		}
		w.stop()
		w.start()
		defer w.stop()
		if admin := w.status().Servers[0].Admin; admin.State != "drain" || admin.By != "ann" || admin.Reason != "kernel" {
			t.Errorf("after a restart: %+v", admin)
		}
		w.wantRoutes("edge, after a restart,", w.edge, "web2 web2")
		w.later(61 * time.Second)
		if _, err := w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.wantRoutes("edge, undrained,", w.edge, "web1 web2")
	})
}

func TestADrainIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	for _, c := range []struct {
		name string
		ill  func(*world)
	}{
		{"the standby is known to be down", func(w *world) {
			w.senses.falls("web2", "connection refused", vip1)
			w.settle()
		}},
		{"the standby fails its proof", func(w *world) { w.senses.falls("web2", "timeout after 500ms", vip1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				defer w.stop()
				c.ill(w)
				before := w.edge.Changes()
				_, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
				var refusal *api.Error
				if !errors.As(err, &refusal) || refusal.Code != api.Refused || !strings.Contains(refusal.Details[0], vip1.String()) {
					t.Fatalf("got %v, want a refusal that names %s", err, vip1)
				}
				if w.edge.Changes() != before || w.status().Servers[0].Admin.State != "ready" {
					t.Error("something was touched")
				}
				if warnings := strings.Join(w.status().Warnings, "\n"); !strings.Contains(warnings, "web2 cannot carry "+vip1.String()) {
					t.Errorf("status does not warn of the standby: %q", warnings)
				}
				forced, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Force: true})
				if err != nil || forced.Did != "drain" || forced.VIPs[0].To[0] != "web1" {
					t.Errorf("by force: %+v, %v; want drained, its traffic left on it", forced, err)
				}
			})
		})
	}
}

func TestAnUnknownServerIsAnErrorThatListsTheKnown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		_, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"wbe1"}})
		if err == nil || !strings.Contains(err.Error(), "web1, web2, web3, web4") {
			t.Errorf("got %v", err)
		}
	})
}

func TestIntentThatCannotBeKeptIsNotActedOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.dir = filepath.Join(w.dir, "missing")
		w.start()
		defer w.stop()
		if warnings := strings.Join(w.status().Warnings, "\n"); !strings.Contains(warnings, "drains will be refused") {
			t.Errorf("nobody is warned: %q", warnings)
		}
		_, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
		var failure *api.Error
		if !errors.As(err, &failure) || failure.Code != api.Unavailable {
			t.Fatalf("got %v", err)
		}
		w.wantRoutes("edge", w.edge, "web1 web2")
	})
}

func TestUnreadableIntentIsSetAsideAndSaid(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if err := os.WriteFile(filepath.Join(w.dir, "state.json"), []byte(`{"version": 1, "drains": {`), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start()
		defer w.stop()
		if warnings := strings.Join(w.status().Warnings, "\n"); !strings.Contains(warnings, "set aside as") {
			t.Errorf("status does not say so: %q", warnings)
		}
		files, err := os.ReadDir(w.dir)
		if err != nil || len(files) != 1 || !strings.Contains(files[0].Name(), "unreadable") {
			t.Errorf("files: %v, %v", files, err)
		}
	})
}

func TestASlowRouterDelaysNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.core.Delay(5 * time.Second)
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge, at once,", w.edge, "web2 web2")
		w.wantRoutes("core, not yet,", w.core, "web1 web2")
		w.later(30 * time.Second)
		w.wantRoutes("core, later,", w.core, "web2 web2")
	})
}

func TestInSyncIsOnlySaidOfWhatWasReadBack(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(*world) // between the loss of a server and its return
		sends   string
	}{
		"a pass is under way":           {func(w *world) { w.core.Delay(4 * time.Second) }, "web1 web2"},
		"the connection ended half-way": {func(w *world) { w.core.CutAfter(1) }, "web2 web2"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.file += "policy: {failback: immediate}\n"
				w.start()
				defer w.stop()
				c.trouble(w)
				w.later(time.Second)
				w.senses.falls("web1", "connection refused", vip1)
				w.settle()
				w.later(time.Second)
				w.senses.falls("web1", "", vip1)
				w.settle()
				w.wantRoutes("core, meanwhile,", w.core, c.sends)
				if vip := w.status().VIPs[0]; vip.Wanted[0] != "web1" || vip.InSync {
					t.Errorf("core was not read since web1 is wanted again, and status says %+v", vip)
				}
				w.core.Delay(0)
				w.core.Mend()
				w.later(time.Minute)
				if vip := w.status().VIPs[0]; !vip.InSync {
					t.Errorf("a minute later status says %+v", vip)
				}
			})
		})
	}
}

func TestADrainSaysWhichRouterHasNotConfirmed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.core.Cut()
		moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, TimeoutMs: 2000})
		if err != nil {
			t.Fatal(err)
		}
		if moved.Confirmed || !moved.Routers[1].InSync || moved.Routers[0].InSync || !strings.Contains(moved.Routers[0].Error, "connection to the router lost") {
			t.Errorf("got %+v", moved)
		}
		w.wantRoutes("edge", w.edge, "web2 web2")
		w.core.Mend()
		w.later(time.Minute)
		w.wantRoutes("core, mended,", w.core, "web2 web2")
		if !w.status().Routers[0].InSync {
			t.Errorf("still out of sync: %+v", w.status().Routers[0])
		}
	})
}

func TestNothingIsConfirmedWhileARouterCannotBeRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.core.Cut()
		w.core.Take(vip1)
		w.later(time.Second)
		moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web3"}}) // a standby
		if err != nil || moved.Confirmed {
			t.Errorf("core has lost a route and cannot be read, and the drain answers %+v, %v", moved, err)
		}
	})
}

func TestADrainDoesNotWaitForAnothersRouters(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.core.Cut()
		first := make(chan *api.Moved, 1)
		go func() {
			moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2"}, TimeoutMs: 20_000})
			if err != nil {
				t.Error(err)
			}
			first <- moved
		}()
		synctest.Wait()
		begun := time.Now()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web4"}, TimeoutMs: 1000}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
		if moved := <-first; moved.Confirmed {
			t.Error("the first was confirmed: it waited for nothing")
		}
	})
}

func TestAProofCutShortProvesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		ctx, cancel := context.WithCancel(t.Context())
		w.senses.during = cancel // the operator goes while standbys are checked
		w.senses.falls("web2", "check cut short", vip1)
		if _, err := w.control.Drain(ctx, api.DrainRequest{Servers: []string{"web1"}}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was cancelled", err)
		}
		if status := w.status(); status.Servers[1].Health != "up" || status.Servers[0].Admin.State != "ready" {
			t.Errorf("it was believed: web2 is %s, web1 %s", status.Servers[1].Health, status.Servers[0].Admin.State)
		}
	})
}

func TestWhoeverGivesUpChangesNothingLater(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		held, holding := make(chan struct{}), make(chan struct{})
		w.senses.during = func() { close(holding); <-held } // the first drain's proof takes long
		first := make(chan error, 1)
		go func() {
			_, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
			first <- err
		}()
		<-holding
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.control.Drain(ctx, api.DrainRequest{Servers: []string{"web4"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second drain: %v, want that its time was over", err)
		}
		if _, err := w.control.Reload(ctx, api.ReloadRequest{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the reload: %v, want that its time was over", err)
		}
		w.senses.during = nil
		close(held)
		if err := <-first; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if status := w.status(); status.Servers[3].Admin.State != "ready" || status.Servers[0].Admin.State != "drain" {
			t.Errorf("web1 is %s, web4 is %s; want drain, ready", status.Servers[0].Admin.State, status.Servers[3].Admin.State)
		}
	})
}

func TestNothingIsBegunForAnOperatorWhoHasGone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 { // by chance it would be begun every other time
			if _, err := w.control.Status(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, want that it was cancelled", err)
			}
		}
	})
}

func TestUndrainReturnsTrafficThoughFailbackIsManual(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {failback: manual}\n"
		w.start()
		defer w.stop()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.wantRoutes("edge", w.edge, "web2 web2")
		if _, err := w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.wantRoutes("edge, undrained,", w.edge, "web1 web2")
	})
}

// TestACommonOutageMovesNothing takes the LAN away and gives it back; the
// checks of those that do not have the traffic come first.
func TestACommonOutageMovesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		before := w.edge.Changes()
		for i, order := range [][]topology.ServerName{{"web3", "web2", "web1"}, {"web3", "web2", "web1"}} {
			for _, server := range order {
				for _, vip := range []netip.Prefix{vip2, vip1} {
					result := health.Result{Target: health.Target{Server: server, VIP: vip}, Started: time.Now()}
					if i == 0 {
						result.Failure = "no route to host"
					}
					w.senses.news <- result
				}
				synctest.Wait()
				w.later(100 * time.Millisecond)
			}
		}
		w.wantRoutes("edge", w.edge, "web1 web2")
		if n := w.edge.Changes() - before; n != 0 {
			t.Errorf("%d routes moved", n)
		}
	})
}

func TestAReaddressedServerGetsTrafficOnlyOnceItIsSeenToWork(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.file = strings.Replace(article, "192.0.2.11", "192.0.2.19", 1)
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.wantRoutes("edge, before a check,", w.edge, "web1 web2") // by the old address
		w.senses.falls("web1", "timeout", vip1)
		w.settle()
		w.wantRoutes("edge, after it failed,", w.edge, "web2 web2")
	})
}

func TestTheRouteThatGetsThePacketsIsShown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		foreign := route(vip1, 4)
		foreign.Foreign = true
		w.edge.Append(foreign)
		w.later(time.Second)
		vip := w.status().VIPs[0]
		if vip.InSync || vip.Routes[1].Servers[0] != "web4" || !vip.Routes[1].Foreign {
			t.Errorf("got %+v", vip)
		}
	})
}

func TestManyOrdersDoNotPutOffTheNextTry(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {failback: immediate}\n"
		w.start()
		defer w.stop()
		w.core.Cut()
		for range 7 { // each gives the router an order that fails
			if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, TimeoutMs: 1}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}, TimeoutMs: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if retry := w.status().Routers[0].Retry; retry.IsZero() || time.Until(retry) > 2*time.Second {
			t.Errorf("the next try is in %s", time.Until(retry))
		}
	})
}

func TestOnlyTheFirstPassOfAnOrderIsTimed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.core.Cut()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.core.Mend()
		w.later(time.Minute)
		seen := false
		for event, err := range w.control.Events(t.Context(), api.EventsRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Kind == "route" && event.Router == "core" && event.From == "web1" {
				seen = true
				if event.TookMs != 0 {
					t.Errorf("a retry is said to have taken %v ms", event.TookMs)
				}
			}
		}
		if !seen {
			t.Error("the move on core was not recorded")
		}
	})
}

func TestAfterAnOutageAServerThatStaysDownIsLeft(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		tell := func(server topology.ServerName, failure string) {
			w.senses.news <- health.Result{Target: health.Target{Server: server, VIP: vip1}, Started: time.Now(), Failure: failure}
			w.later(100 * time.Millisecond)
		}
		tell("web2", "no route to host")
		tell("web1", "no route to host")
		tell("web2", "")
		w.wantRoutes("edge, web1 not checked yet,", w.edge, "web1 web2")
		tell("web1", "connection refused") // no verdict changes by it
		w.wantRoutes("edge", w.edge, "web2 web2")
	})
}

// A stuckLog is a log whose reader has stopped reading.
type stuckLog struct {
	slog.Handler
	reads chan struct{} // closed when it reads again
}

func (stuckLog) Enabled(context.Context, slog.Level) bool { return true }

func (l stuckLog) Handle(context.Context, slog.Record) error {
	<-l.reads
	return nil
}

func TestAStuckLogHoldsUpNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		reads := make(chan struct{})
		defer close(reads)
		w.log = slog.New(stuckLog{slog.DiscardHandler, reads})
		w.start()
		defer w.stop()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge", w.edge, "web2 web2")
	})
}

func TestTheLogTellsEveryEventAlsoTheLast(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var text strings.Builder
		w.log = slog.New(slog.NewTextHandler(&text, nil))
		w.start()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.stop()
		for _, want := range []string{
			`msg=controller to=running`, `msg=verdict server=web1 prefix=203.0.113.32/27 from=up to=down reason="connection refused"`,
			`msg=assignment prefix=203.0.113.32/27 from=web1 to=web2`, `msg=route prefix=203.0.113.32/27 router=edge from=web1 to=web2`, `msg=controller to=stopped`,
		} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, &text)
			}
		}
	})
}

func TestAHalfDoneApplyConverges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.edge.CutAfter(1)
		w.senses.falls("web2", "connection refused", vip1, vip2)
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.senses.falls("web1", "", vip1)
		w.edge.Mend()
		w.later(2 * time.Minute)
		w.settle()
		w.later(2 * time.Minute)
		w.settle()
		w.wantRoutes("edge", w.edge, "web1 web3")
	})
}

func TestDriftIsRepairedAndCounted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.edge.Plant(route(vip1, 4))
		synctest.Wait()
		w.later(time.Second)
		w.wantRoutes("edge", w.edge, "web1 web2")
		if edge := w.status().Routers[1]; edge.Repairs != 1 {
			t.Errorf("%d repairs counted, want 1", edge.Repairs)
		}
	})
}

func TestAForeignRouteIsReportedAndLeftAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		foreign := route(vip1, 4)
		foreign.Foreign = true
		w.edge.Plant(foreign)
		w.start()
		defer w.stop()
		w.wantRoutes("edge", w.edge, "web4 web2")
		status := w.status()
		if edge := status.Routers[1]; edge.InSync || len(edge.Foreign) != 1 || !strings.Contains(edge.Foreign[0], "adopt: true") {
			t.Errorf("edge: %+v", edge)
		}
	})
}

func TestABadReloadChangesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.file = strings.Replace(article, "primary: web1", "primary: wbe1", 1)
		_, err := w.control.Reload(t.Context(), api.ReloadRequest{By: "ann"})
		var refusal *api.Error
		if !errors.As(err, &refusal) || refusal.Code != api.BadConfig || !strings.Contains(refusal.Details[0], `did you mean web1?`) {
			t.Fatalf("got %v", err)
		}
		if status := w.status(); len(status.Config.Problems) != 1 || !strings.Contains(strings.Join(status.Warnings, ""), "reload was refused") {
			t.Errorf("status keeps quiet about it: %+v %q", status.Config, status.Warnings)
		}
		w.file = article
		w.senses.wrong = errors.New("no right to make rules")
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err == nil {
			t.Error("a reload whose checks cannot be set up succeeds")
		}
		w.senses.wrong = nil
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Error(err)
		}
		if status := w.status(); len(status.Warnings) != 0 {
			t.Errorf("after a good reload it still warns: %q", status.Warnings)
		}
		w.wantRoutes("edge", w.edge, "web1 web2")
	})
}

// TestAReloadGivenUpLateSteersWhatIsChecked: who gives up when the new checks have begun
// must not leave a controller that checks one file and steers another.
func TestAReloadGivenUpLateSteersWhatIsChecked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		ctx, giveUp := context.WithCancel(t.Context())
		w.senses.setting = giveUp
		w.file = shop
		_, err := w.control.Reload(ctx, api.ReloadRequest{})
		w.settle()
		if n := len(w.status().VIPs); n != len(w.senses.site.VIPs) {
			t.Errorf("%d VIPs are checked, and %d steered; the reload said %v", len(w.senses.site.VIPs), n, err)
		}
	})
}

func TestAGoodReloadMovesOnlyWhatTheFileChanges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		before := w.edge.Changes()
		w.file = strings.Replace(article, "backup: web3", "backup: [web3, web4]", 1)
		reloaded, err := w.control.Reload(t.Context(), api.ReloadRequest{By: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"VIP 203.0.113.64/27 changed"}; !slices.Equal(reloaded.Changes, want) {
			t.Errorf("it says %q, want %q", reloaded.Changes, want)
		}
		w.settle()
		if n := w.edge.Changes() - before; n != 0 {
			t.Errorf("%d routes changed", n)
		}
		if routers := w.status().Routers; !routers[0].InSync || !routers[1].InSync {
			t.Errorf("not in sync after a reload: %+v", routers)
		}
		w.file = strings.Replace(w.file, "routers:", "  - {prefix: 203.0.113.96/27, check: web, primary: web4}\nrouters:", 1)
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if n := w.edge.Changes() - before; n != 1 {
			t.Errorf("%d routes changed for one new VIP", n)
		}
	})
}

func TestPlanTellsAndTouchesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		plan, err := w.control.Plan(t.Context())
		if err != nil || len(plan.Changes) != 0 {
			t.Fatalf("in sync, and the plan is %+v, %v", plan, err)
		}
		w.edge.Refuse(netip.MustParseAddr("192.0.2.12"), errors.New("network is unreachable"))
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		plan, err = w.control.Plan(t.Context())
		if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Router != "edge" || plan.Changes[0].To[0] != "192.0.2.12" {
			t.Fatalf("the plan is %+v, %v", plan, err)
		}
		if edge := w.status().Routers[1]; !strings.Contains(edge.Error, "network is unreachable") || edge.Retry.IsZero() {
			t.Errorf("edge: %+v", edge)
		}
	})
}
