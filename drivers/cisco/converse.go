package cisco

import (
	"context"
	"fmt"
	"time"
)

const (
	// linger is how long a session is kept after a call, for the next one of the
	// same pass, where none is kept for good.
	linger = 2 * time.Second
	// aliveLimit is for the first answer in a session that was kept: one that has
	// died must not cost what a slow command may take.
	aliveLimit = 5 * time.Second
)

// converse has a dialogue with the router, in the session that is open or in a
// new one. Whatever becomes of it, the session is in exec mode afterwards or has
// been left.
func (d *Driver) converse(ctx context.Context, talk func(*session) error) error {
	d.lock()
	defer d.unlock()
	defer d.publish()
	err := d.attempt(ctx, talk)
	if err != nil {
		d.tell("failing", err.Error())
		d.hangUp()
		return err
	}
	d.tell("reachable", "prompt "+d.session.prompt)
	d.rest()
	return nil
}

// tell notes how it stands with the router.
func (d *Driver) tell(state, detail string) {
	if d.state.State != state {
		d.state.Since = time.Now()
	}
	d.state.State, d.state.Well, d.state.Detail = state, state != "failing", detail
}

// lock takes the session from whatever goes on in the background, which gives
// it up at once.
func (d *Driver) lock() {
	d.waiting.Add(1)
	if interrupt := d.interrupt.Load(); interrupt != nil {
		(*interrupt)()
	}
	d.turn <- struct{}{}
	d.waiting.Add(-1)
	if d.timer != nil {
		d.timer.Stop()
	}
}

func (d *Driver) unlock() { <-d.turn }

// attempt talks in the session that is open, if it still lives.
func (d *Driver) attempt(ctx context.Context, talk func(*session) error) error {
	if err := d.ensure(ctx); err != nil {
		return err
	}
	if err := talk(d.session); err != nil {
		return because(ctx, err)
	}
	return nil
}

// ensure makes sure of a session.
func (d *Driver) ensure(ctx context.Context) error {
	if d.session != nil && d.session.syncWithin(ctx, aliveLimit) != nil {
		d.hangUp()
	}
	if d.session != nil {
		return nil
	}
	return d.connect(ctx)
}

// connect opens a session.
func (d *Driver) connect(ctx context.Context) error {
	script, err := openTranscript(d.dir, string(d.name))
	if err != nil {
		d.log.Warn("no transcript of the session", "err", err)
	}
	s, err := openSession(ctx, d.cfg, d.dial, script)
	if err != nil {
		script.note("failed: %v", err)
		d.finish(script)
		return fmt.Errorf("reach the router: %w", err)
	}
	d.session = s
	return nil
}

// rest leaves the session open for the next call: for good, or for a moment. What
// is to be saved then is saved in the background.
func (d *Driver) rest() {
	if d.session != nil && d.session.broken {
		d.hangUp()
	}
	var waits []time.Duration
	if !d.cfg.KeepSession && d.session != nil {
		waits = append(waits, linger)
	}
	if !d.saver.due.IsZero() {
		waits = append(waits, max(time.Until(d.saver.due), 0))
	}
	if len(waits) == 0 {
		return
	}
	wait := waits[0]
	for _, w := range waits {
		wait = min(wait, w)
	}
	d.timer = time.AfterFunc(wait, d.background)
}

// background saves, if that is due, or leaves a session that nobody uses.
func (d *Driver) background() {
	d.turn <- struct{}{}
	defer d.unlock()
	defer d.publish()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d.interrupt.Store(&cancel)
	defer d.interrupt.Store(nil)
	switch {
	case d.closed || d.waiting.Load() > 0: // who waits goes on with the session
		return
	case !d.saver.due.IsZero() && !time.Now().Before(d.saver.due):
		if err := d.saveNow(ctx); err != nil {
			d.hangUp()
		}
	default:
		d.hangUp()
	}
	d.rest()
}

// saveNow has the router save its configuration.
func (d *Driver) saveNow(ctx context.Context) error {
	if err := d.ensure(ctx); err != nil {
		if ctx.Err() == nil { // else a move is more urgent
			d.saver.failed(err)
		}
		return err
	}
	return d.saver.save(ctx, d.session)
}

// hangUp leaves the router, if a session is open.
func (d *Driver) hangUp() {
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.session == nil {
		return
	}
	s := d.session
	d.session = nil
	if err := s.leave(); err != nil {
		d.log.Warn("leave the router", "err", err)
	}
	d.finish(s.script)
}

func (d *Driver) finish(script *transcript) {
	if err := script.close(); err != nil {
		d.log.Warn("the transcript is not whole", "err", err)
	}
}
