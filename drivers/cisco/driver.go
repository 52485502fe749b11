// Package cisco steers routers with a Cisco-like command line: static routes,
// typed over SSH by expect. It knows the dialects of IOS, IOS-XR, NX-OS, EOS and
// FRR's vtysh.
//
// What a router says is never taken for more than it is: silence is no yes, a
// line in the configuration no route, and a prompt no end of an answer. Lines of
// ours carry a name or tag; what carries none is somebody else's.
//
//	Driver → session (the dialogue) → terminal (goexpect over SSH)
//	       → author  (which lines mean what; pure), editor (types them)
package cisco

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// dialer connects to a router's SSH server.
type dialer = func(context.Context) (net.Conn, error)

// Options say how a Driver works. The zero value is what the program uses, but
// for the log.
type Options struct {
	// Directory is where transcripts of sessions are kept, and the mark that the
	// router's configuration is to be saved; "" keeps none.
	Directory string
	// Dial connects to the router's SSH server; default TCP to its address.
	Dial func(context.Context) (net.Conn, error)
	Log  *slog.Logger // default none
}

// Driver drives one router. One goroutine uses it at a time.
type Driver struct {
	name   topology.RouterName
	cfg    topology.Cisco
	author *author
	dial   dialer
	dir    string
	log    *slog.Logger

	waiting   atomic.Int32                       // for a turn, with something more urgent than what goes on in the background
	interrupt atomic.Pointer[context.CancelFunc] // of that

	info atomic.Pointer[drivers.Info]
	seen map[netip.Prefix][]line // by Routes, for Render alone: a plan is of the last look

	turn    chan struct{} // full while one has its turn with what follows
	saver   saver
	session *session // nil if none is open
	timer   *time.Timer
	state   drivers.Session
	blind   string // why moves are not verified
	closed  bool
}

// Open makes a Driver for a router of a site. It does not connect.
func Open(router topology.Router, site *topology.Site, options Options) *Driver {
	d := &Driver{
		name: router.Name, cfg: *router.Cisco, author: newAuthor(*router.Cisco, site),
		turn: make(chan struct{}, 1), dial: options.Dial, dir: options.Directory, log: options.Log,
		state: drivers.Session{Peer: address(*router.Cisco), State: "not tried", Well: true},
	}
	if d.dial == nil {
		d.dial = dialTCP(d.cfg)
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.saver = newSaver(d.cfg, d.dir, string(router.Name))
	d.publish()
	return d
}

// Routes implements drivers.Driver. It reads the router's configuration.
func (d *Driver) Routes(ctx context.Context) ([]steer.Route, error) {
	var routes []steer.Route
	err := d.converse(ctx, func(s *session) error {
		have, err := d.read(ctx, s)
		if err != nil {
			return err
		}
		d.seen = have
		for prefix, lines := range have {
			routes = append(routes, d.author.routes(prefix, lines)...)
		}
		d.saver.seen()
		return nil
	})
	if err != nil {
		return nil, err
	}
	steer.SortRoutes(routes)
	return routes, nil
}

// read returns the router's lines for the site's prefixes.
func (d *Driver) read(ctx context.Context, s *session) (map[netip.Prefix][]line, error) {
	have := map[netip.Prefix][]line{}
	for _, command := range s.dialect.read {
		text, err := s.show(ctx, command)
		if err != nil && !notThere.MatchString(text) {
			return nil, fmt.Errorf("read static routes: %w", err)
		}
		for _, l := range parseConfig(text) {
			if d.author.ours[l.prefix] && l.vrf == d.cfg.VRF {
				have[l.prefix] = append(have[l.prefix], l)
			}
		}
	}
	return have, nil
}

// Apply implements drivers.Driver.
func (d *Driver) Apply(ctx context.Context, changes []steer.Change) (int, error) {
	var done []*move
	err := d.converse(ctx, func(s *session) error {
		e := newEditor(s)
		defer d.noteSight(e)
		var have map[netip.Prefix][]line
		for batch, again := range batches(changes) {
			if have == nil || again {
				var err error
				if have, err = d.read(ctx, s); err != nil {
					return err
				}
			}
			moves, err := d.make(ctx, e, batch, have)
			done = append(done, moves...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return count(changes, done, err)
}

// make makes changes that can be made together. It returns the moves that have
// ended, well or not, in order, and an error if the dialogue is over.
func (d *Driver) make(ctx context.Context, e *editor, batch []target, have map[netip.Prefix][]line) ([]*move, error) {
	moves := d.plan(batch, have)
	if slices.ContainsFunc(moves, (*move).busy) {
		d.saver.touch(time.Now())
	}
	if err := e.make(ctx, moves); err != nil {
		return nil, err
	}
	if !e.gaveUp || len(batch) == 1 {
		return moves, nil
	}
	// One line that is refused keeps all others of a commit from happening.
	var done []*move
	for _, t := range batch {
		one, err := d.make(ctx, e, []target{t}, have)
		if done = append(done, one...); err != nil {
			return done, err
		}
	}
	return done, nil
}

// A target is one prefix of a change.
type target struct {
	change steer.Change
	prefix netip.Prefix
}

// batches cuts changes into pieces that can be made together: no prefix twice.
// again says that one of them was in an earlier piece.
func batches(changes []steer.Change) iter.Seq2[[]target, bool] {
	return func(yield func(batch []target, again bool) bool) {
		var batch []target
		again := false
		in := map[netip.Prefix]int{} // the piece that a prefix was in last
		piece := 1
		for t := range targets(changes) {
			if len(batch) == batchSize || in[t.prefix] == piece {
				if !yield(batch, again) {
					return
				}
				batch, again, piece = nil, false, piece+1
			}
			again = again || in[t.prefix] > 0
			batch, in[t.prefix] = append(batch, t), piece
		}
		if len(batch) > 0 {
			yield(batch, again)
		}
	}
}

func (d *Driver) plan(batch []target, have map[netip.Prefix][]line) []*move {
	moves := make([]*move, len(batch))
	for i, t := range batch {
		moves[i] = d.author.plan(t.change, t.prefix, have[t.prefix])
	}
	return moves
}

// count says for how many prefixes the changes were made, and names the others.
func count(changes []steer.Change, done []*move, stopped error) (int, error) {
	n := 0
	var errs []error
	for _, m := range done {
		if m.err != nil {
			errs = append(errs, &drivers.ChangeError{Change: m.change, Err: m.err})
			continue
		}
		n++
	}
	if stopped == nil {
		return n, errors.Join(errs...)
	}
	reached := len(done)
	for _, change := range changes {
		skip := min(reached, len(change.Prefixes))
		reached -= skip
		if rest := change.Prefixes[skip:]; len(rest) > 0 {
			errs = append(errs, &drivers.ChangeError{Change: change.For(rest...), Err: stopped})
		}
	}
	return n, errors.Join(errs...)
}

func targets(changes []steer.Change) iter.Seq[target] {
	return func(yield func(target) bool) {
		for _, change := range changes {
			for _, prefix := range change.Prefixes {
				if !yield(target{change, prefix}) {
					return
				}
			}
		}
	}
}

// Render implements drivers.Renderer.
func (d *Driver) Render(changes []steer.Change) []string { return d.author.render(changes, d.seen) }

// Info implements drivers.Informer.
func (d *Driver) Info() drivers.Info { return *d.info.Load() }

// publish renews what Info says, which must not wait for the router.
func (d *Driver) publish() {
	info := drivers.Info{Sessions: []drivers.Session{d.state}}
	if d.blind != "" {
		info.Problems = append(info.Problems, "moves are not verified before the old route is removed, because "+d.blind)
	}
	if problem := d.saver.problem(); problem != "" {
		info.Problems = append(info.Problems, problem)
	}
	d.info.Store(&info)
}

// noteSight notes whether moves are verified, if the editor has found out.
func (d *Driver) noteSight(e *editor) {
	switch {
	case e.blind != nil:
		d.blind = e.blind.Error()
	case e.sighted:
		d.blind = ""
	}
}

// Close implements drivers.Driver. It leaves the router in good order.
func (d *Driver) Close() error {
	d.lock()
	defer d.unlock()
	d.closed = true
	d.hangUp()
	return nil
}
