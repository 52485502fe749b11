// Package controller is the loop that keeps a site's routes as they should
// be: the one owner of the site, the verdicts, the admin states and the
// assignment.
//
//	news of the senses ─┐                 ┌─► worker ─► driver ─► router
//	commands ───────────┼─► loop: decide ─┼─► worker ─► …
//	sightings ──────────┘                 └─► journal, log
//
// The loop never waits: it does no I/O, and hands each router's worker the
// latest order through a slot that holds one. It is level-triggered:
// whatever happened, everything is decided anew, and each worker compares
// that with what its router has.
package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/journal"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// adoptLimit is how long a start waits for a router that does not tell its
// routes, before going on without them.
const adoptLimit = 10 * time.Second

// newsAtOnce bounds how much news is taken in before deciding.
const newsAtOnce = 1024

// A Prober is the controller's senses; *probe.Prober is one.
type Prober interface {
	// Set makes site what is probed. An error leaves the former site probed.
	Set(site *topology.Site) error
	// Pace says how often a target is checked from now on. It does not wait.
	Pace(target health.Target, pace health.Pace)
	// Use says by which of its addresses a target's server is reached; the zero
	// Addr for none. It does not wait.
	Use(target health.Target, address netip.Addr)
	// Ask has the site's witnesses asked at once, and often for a while. It does not wait.
	Ask()
	// Check probes the targets once, now.
	Check(ctx context.Context, targets []health.Target) []health.Result
	Close() error
}

// Options are what a Controller is made of. All fields but EventsFile are needed.
type Options struct {
	Load      func() (*topology.Site, error)                                  // reads the configuration
	Open      func(topology.Router, *steer.Cohorts) (drivers.Driver, error)   // reaches a router, to steer VIPs of those cohorts
	Sense     func(news chan<- health.News, log *slog.Logger) (Prober, error) // starts the senses
	StateFile string                                                          // keeps operators' intent

	// EventsFile keeps events across restarts; "" keeps them in memory alone.
	EventsFile string
	Version    string
	Log        *slog.Logger
}

// A Controller steers one site. It implements api.Operator.
type Controller struct {
	options  Options
	log      *slog.Logger
	journal  *journal.Journal
	news     chan health.News
	commands chan func()
	sighted  chan sighting
	tended   chan tending
	running  chan struct{} // closed when Run has begun to take commands
	stopped  chan struct{} // closed when the loop has ended
	changing chan struct{} // has room for one: who changes operators' intent, or the site
	poked    chan struct{} // has room for one: something may be over
	trying   chan struct{} // has room for one: who tries what would be
	started  time.Time
	steered  *running

	// What follows belongs to the loop.
	site     *topology.Site
	cohorts  *steer.Cohorts       // of site
	judged   map[netip.Prefix]int // how many VIPs each judge of site judges
	config   api.Config
	prober   Prober
	board    *health.Board
	paces    map[health.Target]health.Pace // as the senses were told
	carrying *carrying                     // the servers that VIPs are sent to
	paths    *paths                        // as the senses were told, of servers with a choice
	intent   state.Intent
	off      map[topology.ServerName]steer.Window // in maintenance at the last decision
	tally    *tally
	want     steer.Assignment
	doubted  bool                              // a move waits for a witness
	dueAt    time.Time                         // when want must be decided anew though nothing happens; zero for never
	fell     map[topology.ServerName]time.Time // when a verdict on a server last did so
	kept     map[netip.Prefix]bool             // judges of VIPs that stay where an outage left them
	pending  map[*steer.Cohort]bool            // VIPs whose routes, if any, have not been seen yet
	giveUp   time.Time                         // when pending is given up
	adopted  chan struct{}                     // closed when pending is over, or another
	seq      uint64                            // of the last order
	routers  map[topology.RouterName]*router
	leaving  []*worker // of routers that the site has no longer
	waiters  map[*waiter]bool
	lasting  lasting
	passing  passing
	warnings []string          // of the start, for status
	troubles map[string]string // of other parts of the program, for status; replaced, never changed
}

// A router is what the loop knows of one router and its worker.
type router struct {
	worker    *worker
	last      sighting     // the last one
	table     *steer.Table // as read last; nil if never
	looked    time.Time
	acted     time.Time // when a pass last tried to change routes, whatever came of it
	changed   time.Time
	tried     bool // it was looked at, well or not
	confirmed uint64
	changes   uint64
	repairs   uint64

	under    []steer.Transition       // moves whose connections are still ending
	outcomes map[netip.Prefix]outcome // of moves that are over; replaced, never changed
	cuts     error                    // why planned moves cut connections
	told     drivers.Info             // that events have told of
	tendErr  error                    // why under is not known
}

// New reads the configuration and the operators' intent. It starts nothing.
func New(options Options) (*Controller, error) {
	site, err := options.Load()
	if err != nil {
		return nil, err
	}
	c := &Controller{
		options:  options,
		log:      options.Log,
		journal:  journal.Open(options.EventsFile),
		news:     make(chan health.News, newsAtOnce),
		commands: make(chan func()),
		sighted:  make(chan sighting),
		tended:   make(chan tending),
		running:  make(chan struct{}),
		stopped:  make(chan struct{}),
		changing: make(chan struct{}, 1),
		poked:    make(chan struct{}, 1),
		trying:   make(chan struct{}, 1),
		started:  time.Now(),
		steered:  newRunning(site),
		tally:    newTally(),
		site:     site,
		troubles: map[string]string{},
		board:    health.NewBoard(site),
		paces:    map[health.Target]health.Pace{},
		routers:  map[topology.RouterName]*router{},
		waiters:  map[*waiter]bool{},
		lasting:  lasting{},
		passing:  passing{reminded: time.Now()},
		fell:     map[topology.ServerName]time.Time{},
	}
	c.config = api.Config{File: site.File, Hash: site.Hash, Loaded: c.started, Problems: []string{}}
	if err := c.loadIntent(); err != nil {
		return nil, err
	}
	c.cohorts = steer.NewCohorts(site, asked(followed(c.intent, site)).Apart()...)
	return c, nil
}

// loadIntent reads the operators' intent. A file that nobody understands is
// set aside and reported: running without drains is better than not running.
func (c *Controller) loadIntent() error {
	intent, err := state.Load(c.options.StateFile)
	if errors.Is(err, state.ErrUnreadable) {
		aside, asideErr := state.SetAside(c.options.StateFile, c.started)
		if asideErr != nil {
			return errors.Join(err, asideErr)
		}
		c.warnings = append(c.warnings, fmt.Sprintf("%v; it was set aside as %s, no server is drained and no VIP pinned: drain and pin again those that should be", err, aside))
		c.log.Error("operators' intent lost", "err", err, "aside", aside)
	} else if err != nil {
		return err
	}
	if err := state.Writable(c.options.StateFile); err != nil {
		c.warnings = append(c.warnings, fmt.Sprintf("drains will be refused: %v", err))
		c.log.Warn("operators' intent cannot be kept", "err", err)
	}
	intent.Recalls = inherited(intent.Recalls, c.site)
	byOurClock(intent.Moved, c.started)
	c.intent = intent
	return nil
}

// Run steers the site until ctx is done, and then leaves all routes as they
// are. It may be called once.
func (c *Controller) Run(ctx context.Context) error {
	stop := sync.OnceFunc(func() { close(c.stopped) })
	defer stop()
	defer c.journal.WriteTo(c.log)()
	defer c.journal.Keep()()
	prober, err := c.options.Sense(c.news, c.log)
	if err != nil {
		return fmt.Errorf("start checks: %w", err)
	}
	c.prober = prober
	c.begin()
	if err := prober.Set(c.site); err != nil {
		return errors.Join(fmt.Errorf("start checks: %w", err), c.end())
	}
	c.paceAll()
	close(c.running)
	c.record(api.Event{Kind: api.ControllerEvent, To: "running", Reason: "start of version " + c.options.Version})
	for _, warning := range c.warnings {
		c.record(api.Event{Kind: api.ControllerEvent, Cause: "start", To: toTrouble, Reason: warning})
	}
	var keeping sync.WaitGroup
	keeping.Go(func() { c.keepEnds(ctx) })
	c.loop(ctx)
	stop() // who waits for the loop waits no longer
	keeping.Wait()
	c.record(api.Event{Kind: api.ControllerEvent, To: "stopped", Reason: "routes stay as they are"})
	return errors.Join(c.end(), c.noteLastMoves())
}

// Running is closed when the controller has begun to steer.
func (c *Controller) Running() <-chan struct{} { return c.running }

// begin starts the routers' workers and waits, in pending, for what they see.
func (c *Controller) begin() {
	c.await()
	c.startRouters()
}

// startRouters gives every router of the site a worker, in place of the one it
// had, and lets go of those that the site has no longer.
func (c *Controller) startRouters() {
	site, cohorts, former := c.site, c.cohorts, c.routers
	c.routers = map[topology.RouterName]*router{}
	for name, old := range former {
		old.worker.stop()
		if _, stays := site.Router(name); !stays {
			c.leaving = append(c.leaving, old.worker)
		}
	}
	for _, r := range site.Routers {
		next := &router{}
		predecessor := c.left(r.Name)
		if old := former[r.Name]; old != nil {
			predecessor = old.worker
			next.changes, next.repairs, next.changed = old.changes, old.repairs, old.changed
			next.under, next.outcomes, next.cuts, next.told = old.under, old.outcomes, old.cuts, old.told
		}
		open := func() (drivers.Driver, error) { return c.options.Open(r, cohorts) }
		next.worker = startWorker(r, open, cohorts, c.sighted, newTender(site.Policy.Drain, c.tended), c.intent.Moved[r.Name], predecessor)
		c.routers[r.Name] = next
	}
}

// left returns the worker of a router that had gone from the site, if it is
// back now. Others that have ended are forgotten.
func (c *Controller) left(name topology.RouterName) *worker {
	var back *worker
	c.leaving = slices.DeleteFunc(c.leaving, func(w *worker) bool {
		if w.router.Name == name {
			back = w
			return true
		}
		select {
		case <-w.done:
			return true
		default:
			return false
		}
	})
	return back
}

// await notes the cohorts of which no VIP has an assignment yet: what routers
// have for them is adopted before anything is decided.
func (c *Controller) await() {
	former := c.pending
	decided := func(prefix netip.Prefix) bool {
		cohort := c.want.Cohorts().Of(prefix)
		return cohort != nil && !former[cohort]
	}
	c.pending = map[*steer.Cohort]bool{}
	for _, cohort := range c.cohorts.All() {
		if !slices.ContainsFunc(cohort.Prefixes, decided) {
			c.pending[cohort] = true
		}
	}
	c.giveUp = time.Now().Add(adoptLimit)
	if c.adopted != nil {
		close(c.adopted)
	}
	c.adopted = make(chan struct{})
}

// end stops workers and senses and waits for them.
func (c *Controller) end() error {
	for _, r := range c.routers {
		r.worker.stop()
	}
	for _, r := range c.routers {
		<-r.worker.done
	}
	for _, w := range c.leaving {
		<-w.done
	}
	if err := c.prober.Close(); err != nil {
		return fmt.Errorf("stop checks: %w", err)
	}
	return nil
}

func (c *Controller) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case news := <-c.news:
			c.observe(c.drainNews(news))
		case command := <-c.commands:
			command()
		case seen := <-c.sighted:
			c.see(seen)
		case report := <-c.tended:
			c.tend(report)
		case <-after(c.due()):
			c.decide(time.Now())
		}
	}
}

// due is when something must be decided though nothing happens.
func (c *Controller) due() time.Time {
	due := c.dueAt
	if len(c.pending) > 0 && (due.IsZero() || c.giveUp.Before(due)) {
		due = c.giveUp
	}
	return earlier(due, c.passing.next)
}

// drainNews takes what news there is, so that a server that is lost for a
// thousand VIPs is decided once.
func (c *Controller) drainNews(first health.News) []health.News {
	batch := []health.News{first}
	for len(batch) < newsAtOnce {
		select {
		case news := <-c.news:
			batch = append(batch, news)
		default:
			return batch
		}
	}
	return batch
}

// alone waits until nobody else changes operators' intent or the site, and
// makes others wait until the function it returns is called. Whoever gives up
// waiting changes nothing later: do would refuse, even if the turn came.
func (c *Controller) alone(ctx context.Context) (release func(), err error) {
	select {
	case c.changing <- struct{}{}:
		return func() { <-c.changing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// do runs f in the loop and waits for it. It does not begin what ctx no longer
// asks for.
func (c *Controller) do(ctx context.Context, f func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan struct{})
	select {
	case c.commands <- func() { f(); close(done) }:
		<-done // the loop does not wait for anything, so neither do we for long
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return &api.Error{Code: api.Unavailable, Message: "the controller is stopping"}
	}
}
