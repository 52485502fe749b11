package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// An alive echoes every server address and says when one is lost or found.
// One goroutine and one timer serve all addresses.
//
// An address that has answered is lost when no reply came since Fall echoes
// were sent, and the newest of them has had half an interval of time. With
// 20 ms × 3 that is 50 to 70 ms after its last good moment.
type alive struct {
	pinger *pinger
	outbox *outbox
	change chan struct{}    // something changed: plan anew
	ask    func(netip.Addr) // has the kernel look for an address; never waits

	// Guarded by the pinger's lock:
	spec topology.Alive
	all  []*presence
	next int       // group to be echoed next
	due  time.Time // when
}

func newAlive(p *pinger, o *outbox) *alive {
	return &alive{pinger: p, outbox: o, change: make(chan struct{}, 1), spec: topology.Alive{Off: true}}
}

type serverAddress struct {
	server  topology.ServerName
	address netip.Addr
}

// set changes to another site. What is known of addresses that stay, stays.
func (a *alive) set(site *topology.Site) map[serverAddress]*presence {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	old := map[serverAddress]*presence{}
	for _, p := range a.all {
		old[serverAddress{p.server, p.address}] = p
	}
	a.all = nil
	for _, server := range site.Servers {
		for _, address := range server.Addresses {
			key := serverAddress{server.Name, address}
			p := old[key]
			if p == nil {
				p = a.admit(key)
			}
			delete(old, key)
			a.all = append(a.all, p)
		}
	}
	for _, gone := range old {
		a.pinger.leave(gone.slot)
	}
	if a.spec != site.Alive {
		a.respec(site.Alive)
	}
	a.next, a.due = 0, time.Now()
	a.planAnew()
	return a.index()
}

func (a *alive) planAnew() {
	select {
	case a.change <- struct{}{}:
	default:
	}
}

// respec starts counting anew; without echo only links lose an address.
func (a *alive) respec(spec topology.Alive) {
	a.spec = spec
	for _, p := range a.all {
		p.unanswered = 0
		if spec.Off {
			p.found.Store(false)
			p.lost.Store(false)
		}
	}
}

func (a *alive) admit(key serverAddress) *presence {
	p := &presence{server: key.server, address: key.address}
	p.slot = a.pinger.join(key.address, func(count uint32) { a.reply(p, count) })
	return p
}

func (a *alive) index() map[serverAddress]*presence {
	by := map[serverAddress]*presence{}
	for _, p := range a.all {
		by[serverAddress{p.server, p.address}] = p
	}
	return by
}

// reply notes a reply. Any reply is a sign of life, also one that comes after
// further echoes were sent: a slow network is not a lost one. Only after a Loss
// must it be to a later echo.
func (a *alive) reply(p *presence, count uint32) {
	if count-p.since-1 >= 1<<31 || p.sent-count >= 1<<31 {
		return // of before a loss, or never sent
	}
	p.unanswered = 0
	p.failed.Store(false)
	p.asked = false
	if a.spec.Off || p.found.Load() && !p.lost.Load() {
		return
	}
	p.found.Store(true)
	p.lost.Store(false)
	a.outbox.put(health.Found{Server: p.server, Address: p.address, At: time.Now()})
}

// lose marks an address as lost, once. It needs the pinger's lock.
func (a *alive) lose(p *presence, now time.Time, failure string) {
	if p.lost.Swap(true) {
		return
	}
	p.since = p.sent
	p.failed.Store(false)
	a.outbox.put(health.Loss{Server: p.server, Address: p.address, At: now, Failure: failure})
}

// linkDown loses addresses by the kernel's word.
func (a *alive) linkDown(addresses []netip.Addr, link string) {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	for _, address := range addresses {
		for _, p := range a.all {
			if p.address == address {
				a.lose(p, time.Now(), fmt.Sprintf("link %s is down", link))
			}
		}
	}
}

// linkUp finds addresses that echo cannot find: those that never answered, and
// all when alive is off.
func (a *alive) linkUp(addresses []netip.Addr) {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	for _, address := range addresses {
		for _, p := range a.all {
			if p.address == address && !a.echoTells(p) {
				a.find(p)
			}
		}
	}
}

// run sends and judges until ctx is done.
func (a *alive) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	wanted := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.change:
			wanted = time.Now()
		case <-timer.C:
		}
		if wanted = a.turn(time.Now(), wanted); wanted.IsZero() {
			timer.Stop() // until the site changes
			continue
		}
		timer.Reset(time.Until(wanted))
	}
}

// turn does what is due and returns when it wants to be called again. wanted is
// when it should have been called.
func (a *alive) turn(now, wanted time.Time) time.Time {
	a.pinger.mu.Lock()
	defer a.pinger.mu.Unlock()
	if a.spec.Off || len(a.all) == 0 {
		return time.Time{}
	}
	a.pinger.drain()
	if now.Sub(wanted) > a.spec.Interval/2 {
		a.forgive()
	}
	a.judge(now)
	a.sendDue(now)
	return a.wanted()
}

// forgive is called when this process was not let run: what is missing may be
// our fault. At least two further echoes must get their time.
func (a *alive) forgive() {
	for _, p := range a.all {
		p.unanswered = min(p.unanswered, max(a.spec.Fall-2, 0))
	}
}

// judge loses the addresses whose time is up, and has the kernel look for those
// that have become silent.
func (a *alive) judge(now time.Time) {
	for _, p := range a.all {
		if p.unanswered == 0 || !p.answers() {
			continue
		}
		late := !now.Before(p.sentAt.Add(a.spec.Interval / 2))
		switch {
		case late && p.unanswered >= a.spec.Fall:
			a.lose(p, now, fmt.Sprintf("no reply to %d echoes", p.unanswered))
		case !late && p.unanswered == 1:
		case p.failed.Load():
			a.lose(p, now, noNeighbour)
		case !p.asked:
			p.asked = true
			a.ask(p.address)
		}
	}
}

// suspect reports whether only the newest echo's time is left to p.
func (a *alive) suspect(p *presence) bool {
	return p.answers() && (p.unanswered >= a.spec.Fall || p.unanswered > 0 && p.failed.Load())
}

// wanted is the time of the next judgement or echo, whichever is first.
func (a *alive) wanted() time.Time {
	next := a.due
	for _, p := range a.all {
		if at := p.sentAt.Add(a.spec.Interval / 2); a.suspect(p) && at.Before(next) {
			next = at
		}
	}
	return next
}

// together is how many echoes are sent at a time. To wake up costs more than to
// send; that many packets are no burst.
const together = 8

// sendDue sends the echoes that are due, in groups that are spread evenly over
// the interval. After a stall the rhythm starts anew instead of catching up.
func (a *alive) sendDue(now time.Time) {
	if now.Sub(a.due) > a.spec.Interval {
		a.due = now
	}
	groups := (len(a.all) + together - 1) / together
	gap := a.spec.Interval / time.Duration(groups)
	for !a.due.After(now) {
		for i := a.next; i < len(a.all); i += groups {
			a.echo(a.all[i])
		}
		a.next = (a.next + 1) % groups
		a.due = a.due.Add(gap)
	}
}

// echo sends one echo. One that could not leave this machine says nothing about
// the server; that its link is down is for links to say.
func (a *alive) echo(p *presence) {
	p.sent++
	p.sentAt = time.Now()
	p.unanswered++
	if stayed(a.pinger.send(aim{to: p.address}, echo{slot: p.slot, count: p.sent})) {
		p.unanswered--
	}
}

// stayed reports whether a packet did not leave this machine for its own
// reasons: want of buffers, a rule of its firewall, no route or policy rule.
// Sending answers so at once; no answer of the network comes this way.
func stayed(err error) bool {
	for _, errno := range []error{unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN, unix.EPERM, unix.EACCES,
		unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EAFNOSUPPORT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
