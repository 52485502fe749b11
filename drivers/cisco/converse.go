package cisco

import (
	"context"
	"fmt"
	"time"

	"github.com/routesteer/routesteer/drivers"
)

// converse has a dialogue with the router, in the session that is open or in a
// new one. Whatever becomes of it, the session is in exec mode afterwards or has
// been left.
func (d *Driver) converse(ctx context.Context, talk func(*session) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	err := d.attempt(ctx, talk)
	if err != nil {
		d.hangUp(err.Error())
		d.state.Well = false
		return err
	}
	d.rest()
	return nil
}

// attempt talks in the session that is open, if it still lives.
func (d *Driver) attempt(ctx context.Context, talk func(*session) error) error {
	if d.session != nil && d.session.sync(ctx) != nil {
		d.hangUp("")
	}
	if d.session == nil {
		if err := d.connect(ctx); err != nil {
			return err
		}
	}
	err := talk(d.session)
	if err == nil {
		return nil
	}
	return because(ctx, err)
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
	d.state = drivers.Session{Peer: address(d.cfg), State: "open", Well: true, Since: time.Now(), Detail: "prompt " + s.prompt}
	return nil
}

// rest leaves the session open for the next call: for good, or for a moment.
func (d *Driver) rest() {
	if d.cfg.KeepSession {
		return
	}
	session := d.session
	d.timer = time.AfterFunc(linger, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.session == session {
			d.hangUp("")
		}
	})
}

// hangUp leaves the router, if a session is open.
func (d *Driver) hangUp(why string) {
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.state.Well || why != "" {
		d.state = drivers.Session{Peer: address(d.cfg), State: "closed", Well: true, Since: time.Now(), Detail: why}
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
