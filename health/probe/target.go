package probe

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/routesteer/routesteer/health"
)

// maxVoid is how often in a row a check is repeated since this machine stalled.
const maxVoid = 3

// A target checks one health.Target at its pace, in rounds: one check of each
// aim. The loop uses it, except for setPace.
type target struct {
	plan
	prober   *Prober
	deliver  func(health.Result)        // takes a round's result
	pace     atomic.Uint32              // a health.Pace; the zero value is Fast: nothing is known yet
	inUse    atomic.Pointer[netip.Addr] // by which routers reach the server; nil if that is not known
	schedule schedule
	timer    timer // resting: the next round; checking: the time is up
	spots    map[netip.Addr]*spot
	watches  []*watch

	// The round in progress, while pending > 0:
	began   time.Time
	aimed   []aim
	way     way // that it goes; the zero way when there is none
	errs    []error
	pending int // aims that are not done
	void    int // rounds in a row that this machine spoiled

	burst    int           // checks left of a burst; 0: none
	alarmed  bool          // a burst follows the round in progress, which is broken off
	stopping chan struct{} // closed when all has ended; nil while running
}

// newTarget makes a target that does nothing yet.
func newTarget(p *Prober, plan plan, deliver func(health.Result)) *target {
	t := &target{
		plan: plan, prober: p, deliver: deliver, spots: map[netip.Addr]*spot{},
		schedule: schedule{check: plan.check, random: rand.Float64},
	}
	t.timer.fire = t.due
	return t
}

// start begins to check and to watch.
func (t *target) start() {
	if port, ok := watchPort(t.check); ok {
		for i := range t.width() {
			t.watches = append(t.watches, newWatch(t, i, port))
		}
	}
	t.prober.loop.arm(&t.timer, t.schedule.first(time.Now()))
}

// stop ends the target; ended is closed when that is done.
func (t *target) stop(ended chan struct{}) {
	t.stopping = ended
	for _, w := range t.watches {
		w.drop()
	}
	if t.pending > 0 {
		t.each((*spot).cancel)
		return
	}
	t.end()
}

// end frees what is left.
func (t *target) end() {
	t.prober.loop.disarm(&t.timer)
	for _, s := range t.spots {
		s.close()
	}
	close(t.stopping)
}

// setPace may be called by any goroutine; it never waits.
func (t *target) setPace(pace health.Pace) {
	if t.pace.Swap(uint32(pace)) == uint32(pace) {
		return
	}
	t.prober.loop.post(func() {
		if t.stopping == nil && t.pending == 0 && !t.schedule.began.IsZero() {
			t.rest()
		}
	})
}

// used is the address by which routers reach the server; the zero Addr if that is
// not known.
func (t *target) used() netip.Addr {
	if address := t.inUse.Load(); address != nil {
		return *address
	}
	return netip.Addr{}
}

// wanted is the pace at which to check.
func (t *target) wanted() health.Pace { return health.Pace(t.pace.Load()) }

// rest waits for the next round.
func (t *target) rest() {
	pace := t.wanted()
	t.prober.loop.armAbout(&t.timer, t.schedule.next(pace), t.schedule.interval(pace)/20)
}

// due is called by the timer.
func (t *target) due() {
	if t.pending > 0 {
		now := time.Now()
		t.each(func(s *spot) { s.expire(now) })
		return
	}
	if t.prober.outbox.full() {
		// Whoever reads the news is behind: more of it would not help.
		t.prober.loop.arm(&t.timer, time.Now().Add(t.check.FastInterval))
		return
	}
	t.schedule.start(t.wanted())
	t.round()
}

// alarm starts a burst: checks back to back until one passes or Fall have
// failed. A burst that is running is not started anew.
func (t *target) alarm() {
	switch {
	case t.stopping != nil, t.burst > 0, t.alarmed:
	case t.pending > 0:
		t.alarmed = true
		t.each((*spot).cancel)
	default:
		t.burst = t.check.Fall
		t.round()
	}
}

// each does something to what is checked in the round in progress. The round
// may end by it, but not before all have had their turn: another may follow at
// once.
func (t *target) each(do func(*spot)) {
	t.pending++
	for _, a := range t.aimed {
		do(t.spots[a.to])
	}
	t.finished()
}

// round begins a round.
func (t *target) round() {
	t.began = time.Now()
	aims, way, err := t.aims(t.used())
	t.way = way
	if err != nil {
		t.errs = nil
		t.prober.auditSoon()
		t.over(err)
		return
	}
	t.aimed, t.errs = aims, make([]error, len(aims))
	t.prober.loop.checking++
	t.pending = len(aims) + 1 // the round may not be over before all are started
	t.prober.loop.arm(&t.timer, t.began.Add(t.check.Timeout))
	for i, a := range aims {
		t.spot(a.to).start(a, t.began, func(err error) {
			t.errs[i] = err
			t.finished()
		})
	}
	t.finished()
}

// spot is the one for an address; it is made at its first use.
func (t *target) spot(to netip.Addr) *spot {
	s := t.spots[to]
	if s == nil {
		s = t.prober.newSpot(t.plan, to)
		t.spots[to] = s
	}
	return s
}

// finished counts what is done of a round.
func (t *target) finished() {
	if t.pending--; t.pending == 0 {
		t.prober.loop.checking--
		t.over(worst(t.aimed, t.errs))
	}
}

// over ends a round.
func (t *target) over(err error) {
	var f *fault
	switch {
	case t.stopping != nil:
		t.end()
	case t.alarmed:
		t.alarmed = false
		t.alarm()
	case errors.As(err, &f) && f.stalled && t.void < maxVoid:
		t.void++
		t.round()
	default:
		t.report(err)
	}
}

// report delivers a result, and goes on with a burst or rests.
func (t *target) report(err error) {
	t.void = 0
	result := health.Result{Target: t.target, Started: t.began, Took: time.Since(t.began)}
	if t.way.presence != nil {
		result.Address = t.way.presence.address
		t.prober.alive.checked(t.way.presence, t.heard())
	}
	if err != nil {
		result.Failure = err.Error()
		if noPath(err) {
			t.prober.auditSoon()
		}
	}
	t.addRemarks(&result)
	t.schedule.checked(t.began, t.began.Add(result.Took))
	t.deliver(result)
	if t.burst > 0 {
		t.burst--
	}
	if err == nil {
		t.burst = 0
		for _, w := range t.watches {
			w.passed()
		}
	}
	switch {
	case t.stopping != nil: // by deliver
	case t.burst > 0:
		t.round()
	default:
		t.rest()
	}
}

// heard is what the round says of the server's address; a program's exit code
// says nothing.
func (t *target) heard() sign {
	if t.check.Script != nil {
		return noSign
	}
	return signOfAll(t.errs)
}

// addRemarks adds what the checks of a round have to tell besides: of several
// notices, and of several answers of agents, the first.
func (t *target) addRemarks(result *health.Result) {
	for i := range t.errs {
		said := t.spots[t.aimed[i].to].remark()
		if result.Notice == "" && result.OK() {
			result.Notice = said.notice
		}
		if result.Said == nil {
			result.Said = said.said
		}
	}
}

// worst is the outcome of a round: broken off or void if any check is, else
// the first failure, with its address when there are several.
func worst(aims []aim, errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	var first error
	for i, err := range errs {
		var f *fault
		switch {
		case err == nil:
		case errors.Is(err, errCut), errors.As(err, &f) && f.stalled:
			return err
		case first == nil:
			first = &fault{words: aims[i].to.String() + ": " + err.Error(), cause: err}
		}
	}
	return first
}
