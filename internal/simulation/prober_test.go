package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

const (
	// grain is how exactly checks start: one wake-up then serves many.
	grain = 20 * time.Millisecond
	// dull is how often a target is checked at other times, when one more result
	// says what is known already.
	dull = time.Minute
)

// A prober is a model of health/probe: it makes the checks of the world's
// servers at the times, and with the news, that the real one would, but for
// results that would repeat what is known while nothing happens.
//
// The world's lock guards it.
type prober struct {
	world *world
	site  *topology.Site
	news  chan<- health.News
	paces map[health.Target]health.Pace
	inUse map[health.Target]netip.Addr

	senses []*sense // in the order of the site
	echoes []*echo
	lively time.Time

	witness struct {
		next  time.Time // when the witness is asked next
		since time.Time // since when it has answered all; zero for the start
		eager time.Time // until when it is asked often
		deaf  bool      // it did not answer the last time
	}

	wake chan struct{}
	quit chan struct{}
	done chan struct{}
}

// A sense is the checks of one target.
type sense struct {
	target health.Target
	check  topology.Check
	dice   *rand.Rand
	began  time.Time // the last one; zero before the first
	next   time.Time // when the next one ends
	told   streak    // its results
	burst  int       // checks that follow back to back
	held   bool      // an idle connection tells of its process's end
	dull   bool      // next is far, for want of news
}

// An echo is what is told of one address.
type echo struct {
	server  topology.ServerName
	address netip.Addr
	dice    *rand.Rand
	found   bool      // and not lost since
	lost    time.Time // when that was told; zero if it is not so
	due     time.Time // when the contrary is told; zero if that is not so
}

func newProber(w *world, news chan<- health.News) *prober {
	p := &prober{
		world: w, news: news, paces: map[health.Target]health.Pace{}, inUse: map[health.Target]netip.Addr{},
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go p.run()
	return p
}

// Set implements controller.Prober.
func (p *prober) Set(site *topology.Site) error {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	now := time.Now()
	former := map[health.Target]*sense{}
	for _, s := range p.senses {
		former[s.target] = s
	}
	p.site, p.senses = site, nil
	probes, _ := site.Probes()
	for _, probe := range probes {
		check := probe.Check
		for _, name := range probe.Servers {
			target := health.Target{Server: name, VIP: probe.VIP.Prefix, Member: probe.Member}
			s := &sense{target: target, check: check, dice: p.chance(fmt.Sprint(target))}
			if was := p.was(former, target, check); was != nil {
				s.began, s.told = was.began, was.told
			}
			p.plan(s, now.Add(share(s.dice, check.FastInterval)))
			p.senses = append(p.senses, s)
		}
	}
	p.setEchoes()
	p.poke(now)
	return nil
}

// was is the sense that asked a server what one asks now. Through the servers' addresses,
// that is the same for all VIPs of a family: it may have been another one's.
func (p *prober) was(former map[health.Target]*sense, target health.Target, check topology.Check) *sense {
	if same := former[target]; same != nil || check.Through != topology.ThroughAddress {
		return same
	}
	for at, other := range former {
		if at.Server == target.Server && at.Member == target.Member && other.check.Name == check.Name && at.VIP.Addr().Is4() == target.VIP.Addr().Is4() {
			return other
		}
	}
	return nil
}

func (p *prober) setEchoes() {
	former := map[netip.Addr]*echo{}
	for _, e := range p.echoes {
		former[e.address] = e
	}
	p.echoes = nil
	for _, server := range p.site.Servers {
		for _, address := range server.Addresses {
			e := former[address]
			if e == nil {
				e = &echo{server: server.Name, address: address, dice: p.chance(address.String())}
			}
			p.echoes = append(p.echoes, e)
		}
	}
}

// share is a random part of a time.
func share(dice *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(dice.Float64() * float64(d))
}

// chance is dice for one thing that is probed, in this life of the controller.
func (p *prober) chance(of string) *rand.Rand {
	return p.world.chance(fmt.Sprint(of, p.world.figures.starts))
}

// plan sets when the next check starts.
func (p *prober) plan(s *sense, start time.Time) {
	start = start.Truncate(grain).Add(grain)
	s.next = start.Add(p.world.outcome(s.target, s.check, p.world.path(s.target)).took)
}

// interval is what lies between the starts of a target's checks.
func (p *prober) interval(s *sense) time.Duration {
	switch p.paces[s.target] {
	case health.Fast:
		return s.check.FastInterval
	case health.Slow:
		return s.check.StandbyInterval
	default:
		return s.check.Interval
	}
}

// Pace implements controller.Prober.
func (p *prober) Pace(target health.Target, pace health.Pace) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	if was, told := p.paces[target]; told && was == pace {
		return
	}
	p.paces[target] = pace
	now := time.Now()
	p.enliven(now)
	for _, s := range p.senses {
		if s.target == target && s.burst == 0 && !s.began.IsZero() {
			p.plan(s, latest(s.began.Add(p.interval(s)), now))
			s.dull = false
		}
	}
	p.ring()
}

// Use implements controller.Prober.
func (p *prober) Use(target health.Target, address netip.Addr) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.world.turn(func() { p.inUse[target] = address })
}

// Ask implements controller.Prober.
func (p *prober) Ask() {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	now := time.Now()
	p.witness.next, p.witness.eager = now.Truncate(grain).Add(grain), now.Add(10*time.Second)
	p.ring()
}

// hear asks the witness, if that is due, and returns its answer, if there is one.
func (p *prober) hear(now time.Time) []health.News {
	if len(p.site.Policy.Witness) == 0 || now.Before(p.witness.next) {
		return nil
	}
	w := &p.witness
	switch {
	case now.Before(w.eager):
		w.next = now.Add(100 * time.Millisecond)
	case now.Before(p.lively):
		w.next = now.Add(time.Second)
	default:
		w.next = now.Add(dull)
	}
	if p.world.deafened() {
		w.deaf = true
		return nil
	}
	if w.deaf {
		w.deaf, w.since = false, now
	}
	p.world.heard = now
	return []health.News{health.Heard{Address: p.site.Policy.Witness[0], Asked: now, Since: w.since}}
}

// Check implements controller.Prober.
func (p *prober) Check(ctx context.Context, targets []health.Target) []health.Result {
	w, started := p.world, time.Now()
	took := passTook
	w.mu.Lock()
	for _, target := range targets {
		took = max(took, p.look(target, started, p.chance(fmt.Sprint(target, started))).Took)
	}
	w.mu.Unlock()
	select {
	case <-time.After(took):
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	results := make([]health.Result, len(targets))
	for i, target := range targets {
		results[i] = p.look(target, started, p.chance(fmt.Sprint(target, started)))
		results[i].Took = took
	}
	return results
}

// lost is since when all addresses of a server by which a VIP can reach it have
// been told lost; zero if they have not.
func (p *prober) lost(server topology.Server, vip topology.VIP) time.Time {
	since := time.Time{}
	for _, e := range p.echoes {
		if e.server == server.Name && server.TakesAt(vip.Prefix.Addr(), e.address) {
			if e.lost.IsZero() {
				return time.Time{}
			}
			since = latest(since, e.lost)
		}
	}
	return since
}

// streak is the latest results of a target that were alike.
func (p *prober) streak(target health.Target) streak {
	for _, s := range p.senses {
		if s.target == target {
			return s.told
		}
	}
	return streak{}
}

// checkOf is the check that is made of a target.
func checkOf(site *topology.Site, target health.Target) topology.Check {
	vip, _ := site.VIP(target.VIP)
	name := vip.Check
	if target.Member != "" {
		name = target.Member
	}
	check, _ := site.Check(name)
	return check
}

// look is what a check of a target that began then finds.
func (p *prober) look(target health.Target, began time.Time, dice *rand.Rand) health.Result {
	check := checkOf(p.site, target)
	address := p.world.path(target)
	found := p.world.outcome(target, check, address)
	if found.mixed && dice.IntN(2) == 0 {
		found.failure = "reset by peer"
	}
	result := health.Result{Target: target, Started: began, Took: found.took, Failure: found.failure, Address: address}
	if check.Agent != nil && result.OK() {
		leaves, _ := p.world.asks(target.Server)
		result.Said = &health.Said{Leave: leaves, Stay: !leaves}
	}
	return result
}

// Close implements controller.Prober.
func (p *prober) Close() error {
	close(p.quit)
	<-p.done
	return nil
}

func (p *prober) run() {
	defer close(p.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		news, next := p.collect()
		for _, n := range news {
			select {
			case p.news <- n:
			case <-p.quit:
				return
			}
		}
		if len(news) > 0 {
			continue
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-p.wake:
		case <-p.quit:
			return
		}
	}
}

// collect makes the checks and echoes that are due, and says when the next ones
// are.
func (p *prober) collect() (news []health.News, next time.Time) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	now := time.Now()
	next = now.Add(time.Hour)
	if p.site == nil {
		return nil, next
	}
	if news = p.hear(now); len(p.site.Policy.Witness) > 0 {
		next = earliest(next, p.witness.next)
	}
	for _, e := range p.echoes {
		if !e.due.IsZero() && !e.due.After(now) {
			news = append(news, p.echoed(e, now))
		}
		if !e.due.IsZero() {
			next = earliest(next, e.due)
		}
	}
	for _, s := range p.senses {
		if !s.next.After(now) {
			news = append(news, p.checked(s, now))
		}
		next = earliest(next, s.next)
	}
	return news, next
}

// checked is one check, that ends now.
func (p *prober) checked(s *sense, now time.Time) health.Result {
	result := p.look(s.target, now, s.dice)
	result.Started = now.Add(-result.Took)
	s.began, s.dull = result.Started, false
	s.told.add(result.OK())
	if result.OK() {
		s.burst, s.held = 0, s.check.Watch
	}
	if s.burst > 0 {
		s.burst--
		s.next = now.Add(max(result.Took, refuseTook))
		return result
	}
	pause := p.interval(s)
	if p.paces[s.target] != health.Fast {
		pause = time.Duration((0.95 + 0.1*s.dice.Float64()) * float64(pause))
		if now.After(p.lively) && pause < dull {
			pause, s.dull = dull+share(s.dice, dull), true
		}
	}
	p.plan(s, latest(s.began.Add(pause), now))
	return result
}

// echoed is the news that is due of an address.
func (p *prober) echoed(e *echo, now time.Time) health.News {
	e.due = time.Time{}
	e.found, e.lost = !e.found, now
	if e.found {
		e.lost = time.Time{}
	}
	p.world.echoed(e.server, e.address, e.found, now)
	if e.found {
		return health.Found{Server: e.server, Address: e.address, At: now}
	}
	return health.Loss{Server: e.server, Address: e.address, At: now, Failure: "no reply to 3 echoes"}
}

// poke has everything looked at as often as it is, after a change in the world.
func (p *prober) poke(now time.Time) {
	if p.site == nil {
		return
	}
	p.enliven(now)
	for _, e := range p.echoes {
		switch answers := p.world.answers(e.server, e.address); {
		case p.site.Alive.Off || answers == e.found:
			e.due = time.Time{}
		case e.due.IsZero() && answers:
			e.due = now.Add(share(e.dice, p.site.Alive.Interval))
		case e.due.IsZero():
			e.due = now.Add(time.Duration(p.site.Alive.Fall)*p.site.Alive.Interval + share(e.dice, p.site.Alive.Interval))
		}
	}
	for _, s := range p.senses {
		found := p.world.outcome(s.target, s.check, p.world.path(s.target))
		if s.held && found.took == refuseTook {
			s.held, s.burst, s.next = false, s.check.Fall-1, now.Add(found.took)
		}
	}
	p.ring()
}

// enliven ends the dullness: for two intervals and a second, every check is made.
func (p *prober) enliven(now time.Time) {
	p.lively, p.witness.next = now.Add(time.Second), earliest(p.witness.next, now.Add(time.Second))
	for _, check := range p.site.Checks {
		p.lively = latest(p.lively, now.Add(time.Second+2*check.Interval))
	}
	for _, s := range p.senses {
		if s.dull {
			s.dull = false
			p.plan(s, earliest(s.next, now.Add(share(s.dice, p.interval(s)))))
		}
	}
}

func (p *prober) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
