package mem

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

var _ drivers.Drainer = (*Driver)(nil)

// A keeping is what a router does about connections that exist when a route
// moves.
type keeping struct {
	timeout     time.Duration // of transitions; 0: the router keeps none
	cuts        error
	connections map[netip.Prefix]map[netip.Addr]int
	under       map[netip.Prefix]steer.Transition // without Left
	released    map[netip.Prefix][]netip.Addr
}

// Keep makes graceful changes leave connections where they are, for so long.
func (r *Router) Keep(timeout time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeping.timeout = timeout
}

// KeepNone makes graceful changes cut connections, with this reason; nil ends that.
func (r *Router) KeepNone(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeping.cuts = reason
}

// Connect sets how many connections of a prefix there are at a server address.
func (r *Router) Connect(p netip.Prefix, at netip.Addr, connections int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keeping.connections[p] == nil {
		r.keeping.connections[p] = map[netip.Addr]int{}
	}
	r.keeping.connections[p][at] = connections
}

// Released returns the addresses whose connections of the prefix were given up.
func (r *Router) Released(p netip.Prefix) []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.keeping.released[p])
}

// Forget ends a transition as somebody else would.
func (r *Router) Forget(p netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keeping.under, p)
}

// begin notes a change of a prefix with a route. The router's mu is held.
func (r *Router) begin(p netip.Prefix, c steer.Change) {
	t, is := r.keeping.under[p]
	switch {
	case c.Graceful && r.keeping.timeout > 0 && r.keeping.cuts == nil:
		now := time.Now()
		if !is {
			t.From = normal(c.From)
		}
		t.Prefix, t.Since, t.Until = p, now, now.Add(r.keeping.timeout)
	case !is:
		return
	}
	t.To = normal(c.To)
	r.keeping.under[p] = t
}

// Transitions implements drivers.Drainer.
func (d *Driver) Transitions(context.Context) ([]steer.Transition, error) {
	r := d.router
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := d.reachable(); err != nil {
		return nil, err
	}
	maps.DeleteFunc(r.keeping.under, func(_ netip.Prefix, t steer.Transition) bool { return !time.Now().Before(t.Until) })
	var all []steer.Transition
	for p, t := range r.keeping.under {
		for at, flows := range r.keeping.connections[p] {
			elsewhere := !slices.ContainsFunc(t.To, func(h steer.NextHop) bool { return h.Address == at })
			if elsewhere && flows > 0 {
				t.Left = append(t.Left, steer.Left{At: []steer.NextHop{{Address: at, Weight: 1}}, Flows: flows})
			}
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b steer.Transition) int { return steer.ComparePrefix(a.Prefix, b.Prefix) })
	return all, nil
}

// Release implements drivers.Drainer.
func (d *Driver) Release(_ context.Context, lost map[netip.Prefix][]netip.Addr) error {
	r := d.router
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, addresses := range lost {
		for _, at := range addresses {
			delete(r.keeping.connections[p], at)
			r.keeping.released[p] = append(r.keeping.released[p], at)
		}
		if t, is := r.keeping.under[p]; is {
			t.From = t.To
			r.keeping.under[p] = t
		}
	}
	return d.reachable()
}

// End implements drivers.Drainer.
func (d *Driver) End(_ context.Context, prefixes []netip.Prefix) error {
	r := d.router
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range prefixes {
		delete(r.keeping.under, p)
	}
	return d.reachable()
}

// Cuts implements drivers.Drainer.
func (d *Driver) Cuts() error {
	d.router.mu.Lock()
	defer d.router.mu.Unlock()
	return d.router.keeping.cuts
}
