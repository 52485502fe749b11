package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// A Prober checks the targets of a site and reports news. Its methods may be
// called by several goroutines.
type Prober struct {
	log     *slog.Logger
	news    chan<- health.News
	sockets *sockets
	paths   *paths
	pinger  *pinger

	launcher *launcher
	outbox   *outbox
	alive    *alive
	witness  *witnesses
	links    *links
	near     *neighbours
	loop     *loop
	flush    timer // the loop's: send passed results on their way

	audits  chan struct{} // asks for an audit of the paths
	cancel  context.CancelFunc
	running sync.WaitGroup

	setting sync.Mutex // one Set or Close at a time; held while the former targets end
	closed  bool

	mu      sync.RWMutex
	targets map[health.Target]*target
	checks  sync.WaitGroup // of Check; grows only while there are targets
}

// New opens sockets in the network namespace of the calling thread, and probes
// nothing until Set. News is sent in order, and sending waits for the reader;
// the channel is never closed. New needs CAP_NET_ADMIN and CAP_NET_RAW.
func New(news chan<- health.News, log *slog.Logger) (*Prober, error) {
	// All sockets are opened in one namespace, whatever the scheduler does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := &Prober{log: log, news: news, audits: make(chan struct{}, 1), targets: map[health.Target]*target{}}
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("open the prober: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go p.loop.run() // loop.stop waits for it
	p.running.Go(func() { p.outbox.run(ctx) })
	p.running.Go(func() { p.alive.run(ctx) })
	p.running.Go(func() { p.witness.run(ctx) })
	p.running.Go(func() { p.links.run(ctx) })
	p.running.Go(func() { p.near.run(ctx) })
	p.running.Go(func() { p.near.tend(ctx) })
	p.running.Go(func() { p.keepPaths(ctx) })
	return p, nil
}

// open opens what New needs, or nothing.
func (p *Prober) open() (err error) {
	var opened []func()
	defer func() {
		if err != nil {
			for _, undo := range slices.Backward(opened) {
				undo()
			}
		}
	}()
	if err = mayProbe(); err != nil {
		return err
	}
	if p.sockets, err = newSockets(); err != nil {
		return err
	}
	opened = append(opened, p.sockets.close)
	if p.launcher, err = newLauncher(); err != nil {
		return err
	}
	opened = append(opened, p.launcher.close)
	if p.loop, err = newLoop(); err != nil {
		return err
	}
	opened = append(opened, p.loop.free)
	if p.pinger, err = newPinger(p.sockets); err != nil {
		return err
	}
	opened = append(opened, func() { _ = p.pinger.close() }) // the first error matters
	kernel, err := newKernel()
	if err != nil {
		return err
	}
	opened = append(opened, kernel.close)
	p.paths = newPaths(kernel, p.log)
	p.outbox = newOutbox(p.news)
	p.flush.fire = func() { p.outbox.send(); runtime.Gosched() }
	p.alive = newAlive(p.pinger, p.outbox)
	p.witness = newWitnesses(p.pinger, p.outbox)
	if p.links, err = newLinks(p.sockets, p.log, p.alive, p.auditSoon); err != nil {
		return err
	}
	opened = append(opened, func() { p.links.stop(); p.links.close() })
	if p.near, err = newNeighbours(p.sockets, p.log, p.alive, p.links); err != nil {
		return err
	}
	p.alive.ask = p.near.doubt
	return nil
}

// Set starts to probe the site, or changes from the former site to this one.
// What is the same in both goes on undisturbed. Of what is not in this one, no
// result comes after Set, but for one that was being sent. On an error the
// former site goes on. Set need not be called by who reads the news, but may be:
// it does not wait for the reader.
func (p *Prober) Set(site *topology.Site) error {
	p.setting.Lock()
	defer p.setting.Unlock()
	if p.closed {
		return errors.New("set the site to probe: the prober is closed")
	}
	trusted, err := readAuthorities(site)
	if err != nil {
		return fmt.Errorf("set the site to probe: %w", err)
	}
	if err := inspectScripts(site); err != nil {
		return fmt.Errorf("set the site to probe: %w", err)
	}
	change, err := p.paths.prepare(site)
	if err != nil {
		return fmt.Errorf("set the site to probe: %w", err)
	}
	presences := p.alive.set(site)
	p.witness.set(site)
	p.links.set(addresses(site))
	p.swap(plans(site, trusted, change.next, presences))
	if err := p.paths.finish(change); err != nil {
		// They are in nobody's way, and the next start cleans up.
		p.log.Warn("paths of the former site are left", "err", err)
	}
	p.auditSoon() // of the paths that stay, for VIPs that are new
	return nil
}

func addresses(site *topology.Site) (all []netip.Addr) {
	for _, server := range site.Servers {
		all = append(all, server.Addresses...)
	}
	return all
}

// swap ends the targets that are not in the plans, or differ, and starts the new.
func (p *Prober) swap(plans map[health.Target]plan) {
	next := make(map[health.Target]*target, len(plans))
	var ends []chan struct{}
	for key, t := range p.targets { // only Set and Close write it, and setting is held
		if plan, ok := plans[key]; ok && t.equal(plan) {
			next[key] = t
			continue
		}
		ended := make(chan struct{})
		ends = append(ends, ended)
		p.loop.post(func() { t.stop(ended) })
	}
	for _, ended := range ends {
		<-ended
	}
	// A new target may have the key of one that ended.
	p.outbox.retain(func(t health.Target) bool { return next[t] != nil })
	for key, plan := range plans {
		if next[key] == nil {
			t := newTarget(p, plan, p.deliver)
			next[key] = t
			p.loop.post(t.start)
		}
	}
	p.mu.Lock()
	p.targets = next
	p.mu.Unlock()
}

// lazy is how long a passed check may wait for others to be reported with it.
// To wake the reader for each costs more than half of what a check does. What
// has failed is reported at once, with all that waits before it.
const lazy = 10 * time.Millisecond

// deliver reports a result. The loop calls it.
func (p *Prober) deliver(r health.Result) {
	p.outbox.keep(r)
	switch {
	case !r.OK():
		p.outbox.send()
	case p.loop.checking == 0: // nothing to wait for
		p.loop.arm(&p.flush, time.Now())
	case !p.flush.armed():
		p.loop.arm(&p.flush, time.Now().Add(lazy))
	}
}

// Pace says how often a target is checked; a new one fast. One that is checked
// more often from now on is checked at once, if by that it is due. Targets that are
// not probed are ignored: they may just have been removed. It is cheap and never
// waits.
func (p *Prober) Pace(target health.Target, pace health.Pace) {
	p.mu.RLock()
	t := p.targets[target]
	p.mu.RUnlock()
	if t != nil {
		t.setPace(pace)
	}
}

// Use says by which of a server's addresses routers reach it for a target, so that
// it is checked as it is used; the zero Addr if they do not. Without a word, or
// while that address is lost, it is the first that is well. It is cheap and never
// waits.
func (p *Prober) Use(target health.Target, address netip.Addr) {
	p.mu.RLock()
	t := p.targets[target]
	p.mu.RUnlock()
	if t != nil {
		t.inUse.Store(&address)
	}
}

// Ask has the site's witnesses asked at once, and often for a while; answers are
// news. It is cheap and never waits.
func (p *Prober) Ask() { p.witness.ask() }

// auditSoon asks for an audit of the paths. It never waits.
func (p *Prober) auditSoon() {
	select {
	case p.audits <- struct{}{}:
	default:
	}
}

// auditGap is the least time between audits: a site that is down asks for many.
const auditGap = 50 * time.Millisecond

// keepPaths audits the paths when asked to, and now and then, until ctx is done.
func (p *Prober) keepPaths(ctx context.Context) {
	for {
		slow, done := context.WithTimeout(ctx, auditPause)
		select {
		case <-slow.Done():
		case <-p.audits:
		}
		done()
		if ctx.Err() != nil {
			return
		}
		if err := p.paths.audit(); err != nil {
			p.log.Warn("paths could not be made again", "err", err)
		}
		pause(ctx, auditGap)
	}
}

// Close ends all probing, waits for it, and removes our rules and tables.
func (p *Prober) Close() error {
	p.setting.Lock()
	defer p.setting.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	p.swap(nil)
	p.checks.Wait()
	p.loop.stop()
	p.cancel()
	p.links.stop()
	p.near.stop()
	p.running.Wait()
	p.links.close()
	p.near.close()
	err := errors.Join(p.pinger.close(), p.paths.close())
	p.launcher.close()
	p.sockets.close()
	if err != nil {
		return fmt.Errorf("close the prober: %w", err)
	}
	return nil
}
