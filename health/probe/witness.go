package probe

import (
	"context"
	"net/netip"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

const (
	witnessGap = time.Second            // between echoes to a witness at rest
	askGap     = 200 * time.Millisecond // the same while somebody wants to know
	askFor     = 2 * time.Second        // how long somebody wants to know
	askRoom    = 8                      // echoes to a witness whose answer may still come
)

// Witnesses are asked by echo whether we are cut off: now and then, so that a
// silence is known, and at once when a server is lost.
type witnesses struct {
	pinger *pinger
	outbox *outbox
	asked  chan struct{} // somebody wants to know, or the site changed

	// Guarded by the pinger's lock:
	all   []*witness
	until time.Time // somebody wants to know until then
}

// A witness is one address, and the echoes to it.
type witness struct {
	address netip.Addr
	slot    uint32
	sent    uint32             // number of the last echo
	at      [askRoom]time.Time // when the last ones were sent, by number
	heard   uint32             // number of the last that was answered
	since   time.Time          // when the first was sent that was answered after one that was not; zero for never
}

func newWitnesses(p *pinger, o *outbox) *witnesses {
	return &witnesses{pinger: p, outbox: o, asked: make(chan struct{}, 1)}
}

// set changes to another site's witnesses. What is known of those that stay, stays.
func (w *witnesses) set(site *topology.Site) {
	w.pinger.mu.Lock()
	defer w.pinger.mu.Unlock()
	old := map[netip.Addr]*witness{}
	for _, one := range w.all {
		old[one.address] = one
	}
	w.all = nil
	for _, address := range site.Policy.Witness {
		one := old[address]
		if one == nil {
			one = &witness{address: address}
			one.slot = w.pinger.join(address, func(count uint32) { w.reply(one, count) })
		}
		delete(old, address)
		w.all = append(w.all, one)
	}
	for _, gone := range old {
		w.pinger.leave(gone.slot)
	}
	w.wake()
}

// ask asks at once, and often for a while. It never waits.
func (w *witnesses) ask() {
	w.pinger.mu.Lock()
	defer w.pinger.mu.Unlock()
	w.until = time.Now().Add(askFor)
	w.wake()
}

func (w *witnesses) wake() {
	select {
	case w.asked <- struct{}{}:
	default:
	}
}

// run asks until ctx is done.
func (w *witnesses) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.asked:
		case <-timer.C:
		}
		timer.Stop() // until the site changes
		if gap := w.turn(time.Now()); gap > 0 {
			timer.Reset(gap)
		}
	}
}

// turn sends an echo to each witness, and is when to send the next; 0 for never.
func (w *witnesses) turn(now time.Time) time.Duration {
	w.pinger.mu.Lock()
	defer w.pinger.mu.Unlock()
	for _, one := range w.all {
		one.sent++
		one.at[one.sent%askRoom] = time.Now()
		// One that could not leave is one that is not answered: it is we who are cut off.
		_ = w.pinger.send(aim{to: one.address}, echo{slot: one.slot, count: one.sent})
	}
	switch {
	case len(w.all) == 0:
		return 0
	case now.Before(w.until):
		return askGap
	default:
		return witnessGap
	}
}

// reply tells of an answer. It has the pinger's lock.
func (w *witnesses) reply(one *witness, count uint32) {
	if one.sent-count >= askRoom || count-one.heard-1 >= 1<<31 {
		return // never sent, too long ago, or heard already
	}
	asked := one.at[count%askRoom]
	if one.heard+1 != count {
		one.since = asked
	}
	one.heard = count
	w.outbox.put(health.Heard{Address: one.address, Asked: asked, Since: one.since})
}
