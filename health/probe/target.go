package probe

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A way is one address of a server, as checks can take it.
type way struct {
	path     *path
	presence *presence
}

// A plan is all there is to know for checking one target. It never changes.
type plan struct {
	target    health.Target
	check     topology.Check
	addresses []netip.Addr // of the VIP
	ways      []way        // of the server, in order of preference; of the VIP's family
}

func (p plan) equal(q plan) bool {
	return p.target == q.target && reflect.DeepEqual(p.check, q.check) &&
		slices.Equal(p.addresses, q.addresses) && slices.Equal(p.ways, q.ways)
}

// way is the one that routers would use: the first that is not lost.
func (p plan) way() (way, error) {
	if len(p.ways) == 0 {
		return way{}, failf("the server has no address of the VIP's family")
	}
	for _, w := range p.ways {
		if !w.presence.lost.Load() {
			return w, nil
		}
	}
	return p.ways[0], nil
}

// aims are what one round has to check: each address of the VIP through the
// server, or the server's own.
func (p plan) aims() ([]aim, error) {
	w, err := p.way()
	if err != nil {
		return nil, err
	}
	if p.check.Through == topology.ThroughAddress {
		return []aim{{to: w.path.address}}, nil
	}
	if broken := w.path.broken.Load(); broken != nil {
		return nil, failf("%s", *broken)
	}
	aims := make([]aim, len(p.addresses))
	for i, address := range p.addresses {
		aims[i] = aim{to: address, mark: w.path.mark}
	}
	return aims, nil
}

// A target checks one health.Target, in one goroutine.
type target struct {
	plan
	prober   *Prober
	doubt    atomic.Bool
	kick     chan struct{} // doubt changed
	alarm    chan struct{} // a watch wants a burst
	leash    leash
	stop     context.CancelFunc
	running  sync.WaitGroup
	watches  []*watch
	checkers map[netip.Addr]checker
}

func newTarget(p *Prober, plan plan) *target {
	t := &target{
		plan: plan, prober: p,
		kick: make(chan struct{}, 1), alarm: make(chan struct{}, 1),
		checkers: map[netip.Addr]checker{},
	}
	t.doubt.Store(true) // nothing is known yet
	if port, ok := watchPort(plan.check); ok {
		for i := range plan.watched() {
			t.watches = append(t.watches, newWatch(t, i, port))
		}
	}
	return t
}

// watched is how many aims a round has.
func (p plan) watched() int {
	if p.check.Through == topology.ThroughAddress {
		return 1
	}
	return len(p.addresses)
}

// start begins to check.
func (t *target) start() {
	ctx, cancel := context.WithCancel(context.Background())
	t.stop = cancel
	t.running.Go(func() { t.run(ctx) })
	for _, w := range t.watches {
		t.running.Go(func() { w.run(ctx) })
	}
}

// halt ends the checks without waiting for them; wait waits.
func (t *target) halt() {
	t.stop()
	t.leash.end()
	for _, w := range t.watches {
		w.leash.end()
	}
}

func (t *target) wait() { t.running.Wait() }

// hurry sets the pace. It never waits.
func (t *target) hurry(doubt bool) {
	if t.doubt.Swap(doubt) == doubt {
		return
	}
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// run checks at its pace, and in bursts when a watch asks for one.
func (t *target) run(ctx context.Context) {
	defer t.closeCheckers()
	pace := schedule{interval: t.check.Interval, fast: t.check.FastInterval, random: rand.Float64}
	timer := time.NewTimer(time.Until(pace.first(time.Now())))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.alarm:
			t.burst(ctx, &pace)
		case <-timer.C:
			pace.start(t.doubt.Load())
			if result, ok := t.round(&t.leash, t.checkers); ok {
				t.report(ctx, &pace, result)
			}
		case <-t.kick:
			if pace.began.IsZero() {
				continue // the first check stays where it is
			}
		}
		timer.Reset(time.Until(pace.next(t.doubt.Load())))
	}
}

// burst checks back to back until one check passes or Fall have failed.
func (t *target) burst(ctx context.Context, pace *schedule) {
	t.leash.startBurst()
	defer t.leash.endBurst()
	for range t.check.Fall {
		result, ok := t.round(&t.leash, t.checkers)
		if !ok {
			return
		}
		t.report(ctx, pace, result)
		if result.OK() {
			return
		}
	}
}

// report sends a result, in order, and lets watches know of a pass.
func (t *target) report(ctx context.Context, pace *schedule, result health.Result) {
	pace.checked(result.Started, result.Started.Add(result.Took))
	if result.OK() {
		for _, w := range t.watches {
			w.tell()
		}
	}
	if ctx.Err() != nil {
		return
	}
	select {
	case <-ctx.Done():
	case t.prober.news <- result:
	}
}

// maxVoid is how often in a row a check is repeated since this machine stalled.
const maxVoid = 3

// round makes one check of the target; ok is false when it was broken off.
func (t *target) round(l *leash, checkers map[netip.Addr]checker) (result health.Result, ok bool) {
	for try := 0; ; try++ {
		began := time.Now()
		err := t.checkAll(l, checkers)
		if errors.Is(err, errCut) {
			return health.Result{}, false
		}
		var f *fault
		if errors.As(err, &f) && f.stalled && try < maxVoid {
			continue
		}
		result := health.Result{Target: t.target, Started: began, Took: time.Since(began)}
		if err != nil {
			result.Failure = err.Error()
		}
		return result, true
	}
}

// checkAll checks all aims at once and returns the first failure, in their order.
func (t *target) checkAll(l *leash, checkers map[netip.Addr]checker) error {
	aims, err := t.aims()
	if err != nil {
		t.prober.auditSoon()
		return err
	}
	if len(aims) == 1 {
		return t.checkOne(l, t.checker(checkers, aims[0].to), aims[0])
	}
	errs := make([]error, len(aims))
	var all sync.WaitGroup
	for i, a := range aims {
		c := t.checker(checkers, a.to)
		all.Go(func() { errs[i] = t.checkOne(l, c, a) })
	}
	all.Wait()
	return worst(aims, errs)
}

func (t *target) checkOne(l *leash, c checker, a aim) error {
	err := c.run(l, a)
	if err != nil && noPath(err) {
		t.prober.auditSoon()
	}
	return err
}

// worst is the outcome of a round with several addresses: broken off or void
// if any is, else the first failure with its address.
func worst(aims []aim, errs []error) error {
	var first error
	for i, err := range errs {
		var f *fault
		switch {
		case err == nil:
		case errors.Is(err, errCut), errors.As(err, &f) && f.stalled:
			return err
		case first == nil:
			first = failf("%s: %s", aims[i].to, err)
		}
	}
	return first
}

// checker is the one for an address; it is made at its first use.
func (t *target) checker(checkers map[netip.Addr]checker, to netip.Addr) checker {
	c := checkers[to]
	if c == nil {
		c = t.prober.newChecker(t.check, to)
		checkers[to] = c
	}
	return c
}

func (t *target) closeCheckers() {
	for _, c := range t.checkers {
		c.close()
	}
}

// once checks now, beside the target's own checks, with connections of its own.
func (t *target) once(ctx context.Context) health.Result {
	var l leash
	defer context.AfterFunc(ctx, l.end)()
	checkers := map[netip.Addr]checker{}
	defer func() {
		for _, c := range checkers {
			c.close()
		}
	}()
	began := time.Now()
	if result, ok := t.round(&l, checkers); ok {
		return result
	}
	return health.Result{Target: t.target, Started: began, Took: time.Since(began), Failure: "check broken off: " + context.Cause(ctx).Error()}
}
