package mem

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

var errClosed = errors.New("the driver is closed")

// A Driver is a connection to a Router. Calls may overlap, though no contract
// asks for it.
type Driver struct {
	router   *Router
	prefixes map[netip.Prefix]bool // never changed
	changed  chan struct{}
}

// Open connects to the router for the routes of these prefixes.
func (r *Router) Open(prefixes []netip.Prefix) *Driver {
	d := &Driver{router: r, prefixes: map[netip.Prefix]bool{}, changed: make(chan struct{}, 1)}
	for _, p := range prefixes {
		d.prefixes[p] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[d] = true
	return d
}

// Routes returns the router's routes for the driver's prefixes.
func (d *Driver) Routes(ctx context.Context) ([]steer.Route, error) {
	if err := d.wait(ctx); err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	d.router.mu.Lock()
	defer d.router.mu.Unlock()
	if err := d.reachable(); err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	return d.router.look(func(p netip.Prefix) bool { return d.prefixes[p] }), nil
}

// Apply makes the changes in order, all in one instant after the router's
// delay.
func (d *Driver) Apply(ctx context.Context, changes []steer.Change) (int, error) {
	if err := d.wait(ctx); err != nil {
		return 0, fmt.Errorf("change routes: %w", err)
	}
	d.router.mu.Lock()
	defer d.router.mu.Unlock()
	var (
		done int
		errs []error
	)
	for _, c := range changes {
		for _, p := range c.Prefixes {
			if err := d.reachable(); err != nil {
				return done, errors.Join(append(errs, fmt.Errorf("change routes: %w", err))...)
			}
			if err := d.apply(p, c); err != nil {
				errs = append(errs, &drivers.ChangeError{Change: c.For(p), Err: err})
				continue
			}
			done++
		}
	}
	return done, errors.Join(errs...)
}

// Render returns the changes as an operator reads them.
func (d *Driver) Render(changes []steer.Change) []string {
	var words []string
	for _, c := range changes {
		words = append(words, c.String())
	}
	return words
}

// Changed receives after any change of a route for the driver's prefixes.
func (d *Driver) Changed() <-chan struct{} { return d.changed }

// Close leaves the routes. Calls after it fail.
func (d *Driver) Close() error {
	d.router.mu.Lock()
	defer d.router.mu.Unlock()
	delete(d.router.watchers, d)
	return nil
}

// wait spends the router's delay.
func (d *Driver) wait(ctx context.Context) error {
	d.router.mu.Lock()
	delay := d.router.delay
	d.router.mu.Unlock()
	if err := ctx.Err(); err != nil || delay <= 0 {
		return err
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reachable says why a call cannot go on. The router's mu is held.
func (d *Driver) reachable() error {
	r := d.router
	switch {
	case !r.watchers[d]:
		return errClosed
	case r.budget == 0:
		r.lost, r.budget = ErrLost, -1
	}
	return r.lost
}

// apply makes a change of one of its prefixes. The router's mu is held.
func (d *Driver) apply(p netip.Prefix, c steer.Change) error {
	r := d.router
	have := r.routes[p]
	want, err := d.after(p, have, c)
	if err != nil {
		return err
	}
	if slices.EqualFunc(have, want, equal) {
		return nil
	}
	if c.Op != steer.Remove && len(want) == 0 {
		panic("mem: " + c.String() + " would leave the prefix without a route")
	}
	r.begin(p, c)
	r.set(p, want)
	r.changes++
	if r.budget > 0 {
		r.budget--
	}
	if other, contested := r.contests[p]; contested {
		r.set(p, []steer.Route{other})
	}
	return nil
}

// after is what the prefix has once the change is made.
func (d *Driver) after(p netip.Prefix, have []steer.Route, c steer.Change) ([]steer.Route, error) {
	foreign := slices.DeleteFunc(slices.Clone(have), func(r steer.Route) bool { return !r.Foreign })
	switch {
	case !d.prefixes[p]:
		return nil, errors.New("the prefix is not one of the site's VIPs: refusing to touch its routes")
	case c.Op == steer.Remove:
		return foreign, nil
	case c.Op != steer.Add && c.Op != steer.Replace:
		return nil, fmt.Errorf("no such operation: %q", c.Op)
	case len(c.To) == 0:
		return nil, errors.New("no next hop given; to withdraw a route, remove it")
	case len(foreign) > 0 && !c.Adopt:
		return nil, fmt.Errorf("a foreign route stands there: %s; remove it, or let the router adopt it (adopt: true)", foreign[0].Detail)
	}
	if err := d.acceptable(p, c); err != nil {
		return nil, err
	}
	ours := steer.Route{Prefix: p, NextHops: normal(c.To)}
	ours.Detail = detail(ours)
	return []steer.Route{ours}, nil
}

func (d *Driver) acceptable(p netip.Prefix, c steer.Change) error {
	seen := map[netip.Addr]bool{}
	for _, h := range c.To {
		switch {
		case !h.Address.IsValid() || p.Addr().Is6() && h.Address.Is4():
			return fmt.Errorf("%s cannot be a next hop of %s", h.Address, p)
		case h.Weight < 1 || h.Weight > 256:
			return fmt.Errorf("next hop %s has weight %d; 1 to 256 are known", h.Address, h.Weight)
		case seen[h.Address]:
			return fmt.Errorf("next hop %s is given twice; use a weight", h.Address)
		case d.router.refused[h.Address] != nil:
			return fmt.Errorf("the router refused next hop %s: %w", h.Address, d.router.refused[h.Address])
		}
		seen[h.Address] = true
	}
	return nil
}

// signal leaves at most one receive to be had. The router's mu is held.
func (d *Driver) signal() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func equal(a, b steer.Route) bool {
	return a.Prefix == b.Prefix && slices.Equal(a.NextHops, b.NextHops) &&
		a.Foreign == b.Foreign && a.Stray == b.Stray && a.Detail == b.Detail
}
