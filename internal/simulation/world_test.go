package simulation

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A world is a real controller with everything around it: servers, routers,
// operators, the disk. mu guards all of it; whoever sleeps does not hold it.
type world struct {
	mu      sync.Mutex
	began   time.Time
	seed    uint64
	figures figures
	told    []line
	broken  *breach // the first law that was broken; nil while none is

	// The site.
	draft   *draft
	file    string         // the configuration
	ran     string         // the configuration when a controller was last started
	loading *topology.Site // as read last
	site    *topology.Site // that runs, or ran last
	sited   time.Time      // since when
	owner   map[netip.Addr]topology.ServerName

	ailments []*ailment
	truths   map[health.Target]*truth
	fell     map[health.Target]time.Time       // when a verdict last did so, as any controller told
	released map[topology.ServerName]time.Time // when another file put one back in service that the one before took out
	asked    map[topology.ServerName]time.Time // when one last began or ended to ask for no new traffic
	deaf     time.Time                         // when witnesses last fell silent, or were heard again
	heard    time.Time                         // when one was last asked that answered
	routers  map[topology.RouterName]*router
	words    map[steer.Place]*word

	// The controller.
	state   string // file of operators' intent
	prober  *prober
	control *controller.Controller // nil while none runs
	cancel  context.CancelFunc
	ended   chan error
	started time.Time
	clerks  sync.WaitGroup // operators' requests under way, and who reads the journal

	belief belief // what the journal says
}

// A line is one event of the story as it went.
type line struct {
	at        time.Duration
	who, what string
}

// A breach is a law broken.
type breach struct{ law, what string }

// figures are what a story was made of.
type figures struct {
	simulated                                                   time.Duration
	events, moves, changes, verdicts, requests, starts, reloads int
}

func (f *figures) add(g figures) {
	f.simulated += g.simulated
	f.events += g.events
	f.moves += g.moves
	f.changes += g.changes
	f.verdicts += g.verdicts
	f.requests += g.requests
	f.starts += g.starts
	f.reloads += g.reloads
}

func (f figures) String() string {
	return fmt.Sprintf("%.0f simulated minutes: %d events, %d verdicts changed, %d VIPs moved, %d routes changed, %d operators' requests, %d reloads, %d starts",
		f.simulated.Minutes(), f.events, f.verdicts, f.moves, f.changes, f.requests, f.reloads, f.starts)
}

func newWorld(seed uint64, dir string) *world {
	w := &world{
		began: time.Now(), seed: seed, draft: newDraft(rand.New(rand.NewPCG(seed, 2))), state: filepath.Join(dir, "state.json"),
		truths: map[health.Target]*truth{}, fell: map[health.Target]time.Time{}, released: map[topology.ServerName]time.Time{}, asked: map[topology.ServerName]time.Time{}, routers: map[topology.RouterName]*router{}, words: map[steer.Place]*word{},
	}
	w.file = w.draft.text()
	return w
}

// chance is dice for what nobody decides about one thing: its delays, its phases.
// Each has its own, so that none depends on whose turn comes first.
func (w *world) chance(of string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(of))
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// say notes what happens.
func (w *world) say(at time.Time, who, format string, args ...any) {
	w.told = append(w.told, line{at.Sub(w.began), who, fmt.Sprintf(format, args...)})
}

// since is a moment as the story counts it.
func (w *world) since(moment time.Time) string {
	if moment.IsZero() {
		return "further notice"
	}
	return moment.Sub(w.began).String()
}

// breaks notes that a law is broken. The first one counts.
func (w *world) breaks(law, format string, args ...any) {
	if w.broken != nil {
		return
	}
	w.broken = &breach{law, fmt.Sprintf(format, args...)}
	w.say(time.Now(), "LAW BROKEN", "%s: %s", law, w.broken.what)
}

// start starts the controller.
func (w *world) start() {
	control, err := controller.New(controller.Options{
		Load: w.load, Open: w.open, Sense: w.sense, StateFile: w.state, Version: "simulated", Log: slog.New(slog.DiscardHandler),
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.breaks("a controller starts", "%v\n%s", err, w.file)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.control, w.cancel, w.ended = control, cancel, make(chan error, 1)
	w.started = time.Now()
	w.figures.starts++
	w.say(w.started, "controller", "starts")
	w.become(w.loading)
	homes := w.belief.homes
	if w.file != w.ran {
		homes = nil // the load is another one, by which homes are chosen
	}
	w.belief, w.ran = newBelief(homes), w.file
	journal, stop := context.WithCancel(context.Background())
	go func() {
		err := control.Run(ctx)
		stop()
		w.ended <- err
	}()
	w.clerks.Go(func() { w.read(journal, control) })
}

// read takes in the journal until the controller has ended.
func (w *world) read(ctx context.Context, control *controller.Controller) {
	last := uint64(0)
	for _, follow := range []bool{true, false} {
		for event := range control.Events(ctx, api.EventsRequest{Since: last, Follow: follow}) {
			last = event.Seq
			w.mu.Lock()
			w.learn(event)
			w.mu.Unlock()
		}
	}
}

// load reads the configuration.
func (w *world) load() (*topology.Site, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	site, err := topology.Parse("site.yaml", []byte(w.file))
	if err != nil {
		return nil, err
	}
	w.loading = site
	return site, nil
}

func (w *world) sense(news chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prober = newProber(w, news)
	return w.prober, nil
}

// become makes a site the one that runs.
func (w *world) become(site *topology.Site) {
	now := time.Now()
	if w.site != nil {
		w.watch(now)
		is := steer.Maintained(site, now)
		for name := range steer.Maintained(w.site, now) {
			if _, still := is[name]; !still {
				w.released[name] = now
			}
		}
	}
	w.site, w.sited = site, now
	if w.owner == nil {
		w.owner = map[netip.Addr]topology.ServerName{}
	}
	for _, server := range site.Servers { // addresses are never another server's
		for _, address := range server.Addresses {
			w.owner[address] = server.Name
		}
	}
	for _, r := range site.Routers {
		w.router(r.Name)
	}
	w.retruth(now)
}

// stop stops the controller, and holds that it leaves the routes as they are.
func (w *world) stop() {
	w.mu.Lock()
	cancel, ended := w.cancel, w.ended
	if w.control == nil {
		w.mu.Unlock()
		return
	}
	w.say(time.Now(), "controller", "is stopped")
	w.mu.Unlock()
	cancel()
	err := <-ended
	w.clerks.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch(time.Now())
	w.control, w.prober = nil, nil
	for _, r := range w.routers {
		r.forget(time.Now())
	}
	if err != nil {
		w.breaks("a controller ends well", "%v", err)
	}
	w.retruth(time.Now())
}

// story is what was told, as people read it.
func (w *world) story() string {
	var b strings.Builder
	b.WriteString(w.file)
	for _, l := range w.told {
		fmt.Fprintf(&b, "%9.3fs  %-12s %s\n", l.at.Seconds(), l.who, l.what)
	}
	return b.String()
}

// check looks at the controller from outside, when all have acted on what was
// known.
func (w *world) check() {
	w.mu.Lock()
	control := w.control
	w.watch(time.Now())
	w.mu.Unlock()
	if control == nil {
		return
	}
	status, err := control.Status(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	var stopping *api.Error
	if err != nil {
		if !errors.As(err, &stopping) {
			w.breaks("status answers", "%v", err)
		}
		return
	}
	w.checkIntent(status)
	w.checkClaims(status)
	for _, r := range status.Routers {
		router := w.routers[topology.RouterName(r.Name)]
		for prefix := range router.fought {
			rested := router.troubles == 0 && time.Since(latest(router.touched, router.free)) > time.Minute+router.patience()
			if rested && !slices.Contains(r.Fighting, prefix.String()) {
				delete(router.fought, prefix)
				router.free = time.Now()
			}
		}
	}
}

// checkClaims holds that what status calls in sync is so: "in sync" is only said
// of what was read back.
func (w *world) checkClaims(status *api.Status) {
	for _, vip := range status.VIPs {
		if !vip.InSync {
			continue
		}
		prefixes := vip.Prefixes
		if len(prefixes) == 0 {
			prefixes = []string{vip.Prefix}
		}
		for _, r := range status.Routers {
			router := w.routers[topology.RouterName(r.Name)]
			if !r.LastLook.After(router.touched) {
				continue // not looked at since somebody else touched it
			}
			for _, prefix := range prefixes {
				has := router.table[netip.MustParsePrefix(prefix)]
				if has.since.After(r.LastLook) && has.since.After(r.LastChange) {
					continue // it came of a change whose answer was lost: nobody can know of it yet
				}
				if servers, _ := w.servers(has.hops); !slices.Equal(names(servers), vip.Wanted) {
					w.breaks("in sync is what was read back", "status calls %s in sync at %v, and %s sends %s to %s", vip.Prefix, vip.Wanted, r.Name, prefix, w.via(has.hops))
				}
			}
		}
	}
}

func names(servers []topology.ServerName) []string {
	words := make([]string, len(servers))
	for i, name := range servers {
		words[i] = string(name)
	}
	return words
}

// beliefs are the servers' truths as steer reads them: what a controller would
// think that has seen everything for long.
type beliefs struct{ world *world }

func (b beliefs) State(target health.Target) health.State {
	t := b.world.truths[target]
	if t == nil {
		return health.State{}
	}
	verdict := health.Up
	if t.is != well {
		verdict = health.Down
	}
	return health.State{Verdict: verdict, Since: b.world.began, LastCheck: time.Now()}
}

func (b beliefs) Lost(address netip.Addr) bool { return b.world.isCut(b.world.owner[address], address) }

func (b beliefs) WellSince(netip.Addr) time.Time { return time.Time{} }

var _ steer.Health = beliefs{}
