package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

const (
	eventGap   = 100 * time.Millisecond // between looks that the router's own news call for
	firstRetry = time.Second            // after a failure; doubles up to lastRetry
	lastRetry  = time.Minute
	rounds     = 3 // of acting and looking in one pass, before it is called a failure
)

// An order is what a router should do now. The latest one counts.
type order struct {
	seq   uint64
	want  steer.Assignment
	at    time.Time             // when the news that led to it was known
	retry map[netip.Prefix]bool // to be repaired again though others fight for them; nil for none
}

// A sighting is what came of one pass over a router.
type sighting struct {
	worker  *worker
	seq     uint64         // the order that was worked on; 0 before the first
	at      time.Time      // when the routes were read
	table   *steer.Table   // as read last; nil if never
	left    steer.Plan     // what is still not as wanted
	made    []steer.Change // changes that took effect
	ordered time.Time      // order.at
	applied time.Time      // when the changes had taken effect
	applies []apply        // how often the router was told to change routes
	repair  bool           // they put right what somebody else had changed
	fought  []netip.Prefix // left alone, because another program changes them again and again; sorted
	info    drivers.Info   // what else the driver has to say
	err     error          // why the pass did not end well
	moved   []state.Moves  // by failures, that change_limit still counts; nil without one
	held    *limitError    // err, if that is all that is amiss: failures' moves that wait for their turn
	retry   time.Time      // when it is tried again; zero if err is nil
}

// An apply is one time that a router was told to change routes.
type apply struct {
	took    time.Duration
	refused bool // in part at least
}

// A worker owns one router's driver, in one goroutine.
type worker struct {
	router  topology.Router
	open    func() (drivers.Driver, error)
	cohorts *steer.Cohorts   // that orders and tables are of
	orders  chan order       // one slot, latest wins
	asks    chan lookRequest // of Plan
	sighted chan<- sighting
	done    chan struct{}
	stop    context.CancelFunc

	tender  *tender
	driver  drivers.Driver // nil until open succeeds
	current order
	have    *steer.Comparison // with the routes of the last good look
	looked  bool              // have is valid
	synced  bool              // the last pass left nothing to do
	info    drivers.Info      // the driver's last words
	shaken  bool              // the router has lost links since the last pass that ended well
	fights  *fights
	limit   *limit
	held    *limitError // moves that wait at the last comparison; nil for none
	backoff time.Duration
	retryAt time.Time
}

// startWorker starts the goroutine that drives a router, once its predecessor,
// if any, has ended. Without one, moved is what failures moved on it before. It
// reports every pass to sighted until it is stopped.
func startWorker(router topology.Router, open func() (drivers.Driver, error), cohorts *steer.Cohorts, sighted chan<- sighting, tender *tender, moved []state.Moves, predecessor *worker) *worker {
	ctx, stop := context.WithCancel(context.Background())
	w := &worker{
		router:  router,
		open:    open,
		cohorts: cohorts,
		orders:  make(chan order, 1),
		asks:    make(chan lookRequest),
		sighted: sighted,
		tender:  tender,
		done:    make(chan struct{}),
		stop:    stop,
		fights:  newFights(),
		limit:   &limit{ChangeLimit: router.ChangeLimit, made: slices.Clip(moved)},
	}
	go func() {
		defer close(w.done)
		if predecessor != nil {
			<-predecessor.done
			w.limit.made, w.limit.refused = predecessor.limit.made, predecessor.limit.refused // a reload is no way round it
			w.tender.inherit(predecessor.tender)
		}
		w.run(ctx)
	}()
	return w
}

// give hands the worker its order, in place of one it has not begun. Only one
// goroutine gives.
func (w *worker) give(o order) {
	select {
	case missed := <-w.orders:
		o.retry = union(missed.retry, o.retry)
	default:
	}
	w.orders <- o
}

// take begins an order.
func (w *worker) take(o order) {
	w.fights.ordered(o, w.terms())
	w.current = o
}

// terms are those that the router is steered on.
func (w *worker) terms() steer.Terms {
	return steer.Terms{Adopt: w.router.Adopt(), Even: !w.router.Weighs()}
}

func (w *worker) run(ctx context.Context) {
	defer w.close()
	poll := time.NewTicker(w.router.Poll())
	defer poll.Stop()
	w.pass(ctx, false)
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-w.orders:
			w.take(o)
			w.pass(ctx, false)
		case request := <-w.asks:
			request.reply <- w.answer(ctx, request.want)
		case <-w.changed():
			w.pass(ctx, true)
			w.settle(ctx)
		case <-poll.C:
			w.fights.forget(time.Now())
			w.pass(ctx, true)
		case <-after(w.retryAt):
			w.pass(ctx, true)
		case <-after(w.tender.due):
			w.tend(ctx)
		case prefixes := <-w.tender.cuts:
			w.cutNow(ctx, prefixes)
		}
	}
}

// settle keeps a router whose table changes all the time from keeping us
// busy; orders do not wait for it.
func (w *worker) settle(ctx context.Context) {
	pause := time.NewTimer(eventGap)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-w.orders:
			w.take(o)
			w.pass(ctx, false)
		case <-pause.C:
			return
		}
	}
}

func union(a, b map[netip.Prefix]bool) map[netip.Prefix]bool {
	if len(a) == 0 {
		return b
	}
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

// after is a timer channel for a moment, nil for the zero time.
func after(moment time.Time) <-chan time.Time {
	if moment.IsZero() {
		return nil
	}
	return time.After(time.Until(moment))
}

// changed is the driver's news, nil if it has none.
func (w *worker) changed() <-chan struct{} {
	if watcher, ok := w.driver.(drivers.Watcher); ok {
		return watcher.Changed()
	}
	return nil
}

func (w *worker) close() {
	if w.driver != nil {
		// Routes stay, whatever Close says, and nobody is left to tell.
		_ = w.driver.Close()
		w.driver = nil
	}
}

// pass looks, compares, acts and looks again, and reports. With lookFirst the
// router is read before anything is done; otherwise the last look, if it was
// good, is trusted for the first step, because every millisecond counts for
// the traffic of a lost server, and is checked at once by the second.
func (w *worker) pass(ctx context.Context, lookFirst bool) {
	ctx, cancel := context.WithTimeout(ctx, w.router.Patience())
	defer cancel()
	seen := sighting{worker: w, seq: w.current.seq, ordered: w.current.at, repair: lookFirst && w.synced}
	seen.err = w.work(ctx, lookFirst, &seen)
	seen.info, seen.moved = w.info, slices.Clone(w.limit.made)
	w.synced = seen.err == nil
	w.shaken = w.shaken && !w.synced
	seen.fought = w.fights.prefixes()
	w.plan(&seen)
	w.tendAfter(ctx, seen, !lookFirst)
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return // stopped: nobody listens any more
	}
	select {
	case w.sighted <- seen:
	case <-ctx.Done():
	}
}

// plan sets when to try again after a failure.
func (w *worker) plan(seen *sighting) {
	if seen.err == nil {
		w.backoff, w.retryAt = 0, time.Time{}
		return
	}
	if w.held != nil && seen.err == error(w.held) {
		w.backoff, w.retryAt = 0, w.held.until
		seen.held, seen.retry = w.held, w.retryAt
		return
	}
	// Passes for other reasons, many in a bad second, do not put off the next try.
	if now := time.Now(); !now.Before(w.retryAt) {
		w.backoff = min(max(2*w.backoff, firstRetry), lastRetry)
		w.retryAt = now.Add(w.backoff)
	}
	seen.retry = w.retryAt
}

// work makes the router as it should be, and returns nil only when a look in
// this pass has shown that it is.
func (w *worker) work(ctx context.Context, lookFirst bool, seen *sighting) error {
	if err := w.ensureOpen(); err != nil {
		return err
	}
	if lookFirst || !w.looked {
		if err := w.look(ctx, seen); err != nil {
			return err
		}
	}
	var refused error
	for round := 0; ; round++ {
		seen.left = w.diff(seen.repair)
		switch {
		case len(seen.left.Changes) == 0 && !seen.at.IsZero() && w.held != nil && refused != nil:
			return errors.Join(refused, w.held)
		case len(seen.left.Changes) == 0 && !seen.at.IsZero() && w.held != nil:
			return w.held
		case len(seen.left.Changes) == 0 && !seen.at.IsZero():
			return w.info.Down
		case refused != nil:
			return refused
		case round == rounds:
			return fmt.Errorf("%d changes were accepted and yet do not show, the first: %s", steer.Prefixes(seen.left.Changes), seen.left.Changes[0])
		case len(seen.left.Changes) > 0:
			refused = w.act(ctx, seen, lookFirst || round > 0)
		}
		if err := w.look(ctx, seen); err != nil {
			return errors.Join(refused, err)
		}
	}
}

func (w *worker) ensureOpen() error {
	if w.driver != nil {
		return nil
	}
	driver, err := w.open()
	if err != nil {
		return fmt.Errorf("open router %s: %w", w.router.Name, err)
	}
	w.driver = driver
	return nil
}

// look reads the router's routes, for what is done next.
func (w *worker) look(ctx context.Context, seen *sighting) error {
	table, err := w.read(ctx)
	if err != nil {
		return err
	}
	seen.at, seen.table = time.Now(), table
	w.have, w.looked = steer.Compare(table, w.terms()), true
	return nil
}

// read reads the router's routes.
func (w *worker) read(ctx context.Context) (*steer.Table, error) {
	routes, err := w.driver.Routes(ctx)
	w.inquire()
	if err != nil {
		w.looked = false
		w.close() // a new connection heals more than another try on the old one
		return nil, fmt.Errorf("read routes of router %s: %w", w.router.Name, err)
	}
	return steer.NewTable(w.cohorts, routes), nil
}

// inquire notes what the driver has to say, which it may not be asked later:
// after a failed look it is closed.
func (w *worker) inquire() {
	if informer, ok := w.driver.(drivers.Informer); ok {
		w.info = informer.Info()
	}
}

// diff compares what is wanted with what the router had, and leaves alone what
// others fight for and what must wait: a repair, which no failure has made, need not.
func (w *worker) diff(repair bool) steer.Plan {
	plan := w.have.With(w.current.want)
	plan.Changes = w.fights.hold(plan.Changes, time.Now())
	w.held = nil
	if !repair {
		plan.Changes, w.held = w.limit.hold(plan.Changes, time.Now())
	}
	return plan
}

// act makes the changes that are left. Those that took effect are found by
// the look that follows; until then they are counted as the driver says. With
// again, they are not an order's first, but put something right.
func (w *worker) act(ctx context.Context, seen *sighting, again bool) error {
	if seen.repair {
		seen.left.Changes = sudden(seen.left.Changes)
	}
	began := time.Now()
	_, err := w.driver.Apply(ctx, seen.left.Changes)
	w.inquire()
	seen.applied = time.Now()
	seen.applies = append(seen.applies, apply{seen.applied.Sub(began), err != nil})
	refused, whole := refusals(err)
	made := except(seen.left.Changes, refused)
	if !seen.repair {
		w.limit.count(made, refused, seen.applied) // the last of them may have moved only now
	}
	if !whole {
		made = nil // it stopped for another reason: the look will tell
	}
	seen.made = append(seen.made, made...)
	if again && !w.isShaken() {
		w.fights.count(made, seen.applied)
	}
	if err != nil {
		return fmt.Errorf("change routes of router %s: %w", w.router.Name, err)
	}
	return nil
}

// isShaken reports whether routes may be gone because the router lost links:
// to put that right, however often, is no fight.
func (w *worker) isShaken() bool {
	if witness, ok := w.driver.(drivers.Witness); ok && witness.Shaken() {
		w.shaken = true
	}
	return w.shaken
}
