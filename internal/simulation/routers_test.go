package simulation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A router is a device of the world, and what has been done to it. The world's
// lock guards it.
type router struct {
	name  topology.RouterName
	world *world
	mem   *mem.Router
	table map[netip.Prefix]kept
	delay time.Duration // of every call of a driver, and up to as much again

	troubles int       // that keep us from steering it
	free     time.Time // when the last of them ended
	closed   bool      // connections to it cannot be opened
	touched  time.Time // when somebody else last changed its routes

	strikes map[netip.Prefix][]time.Time // when somebody else changed a route
	fought  map[netip.Prefix]bool        // may be left alone, because somebody else changed it too often

	moved []time.Time // when a failure moved a prefix, as far as its change_limit counts it
}

// A kept is what a router has for a prefix.
type kept struct {
	hops    []steer.NextHop
	foreign bool
	since   time.Time
	strange bool // it was not us
}

func (w *world) newRouter(name topology.RouterName) *router {
	dice := w.chance(string(name))
	r := &router{name: name, world: w, mem: mem.NewRouter(), table: map[netip.Prefix]kept{}}
	r.strikes, r.fought = map[netip.Prefix][]time.Time{}, map[netip.Prefix]bool{}
	r.delay = pick(dice, 0, 5*time.Millisecond, 50*time.Millisecond)
	if dice.IntN(4) == 0 {
		r.mem.Keep(2 * time.Minute)
	}
	return r
}

// refresh notes what the router has now, that strangers have made so or we.
func (r *router) refresh(now time.Time, strange bool) {
	former := r.table
	r.table = make(map[netip.Prefix]kept, len(former))
	for _, route := range r.mem.Look() {
		if r.table[route.Prefix].foreign {
			continue // a foreign one stands before ours
		}
		was, had := former[route.Prefix]
		k := kept{hops: route.NextHops, foreign: route.Foreign, since: now, strange: strange}
		if had && slices.Equal(was.hops, k.hops) && was.foreign == k.foreign {
			k.since, k.strange = was.since, was.strange
		}
		r.table[route.Prefix] = k
	}
	for prefix, was := range former {
		if _, has := r.table[prefix]; !has {
			k := kept{since: now, strange: strange}
			if len(was.hops) == 0 {
				k = was
			}
			r.table[prefix] = k
		}
	}
}

// touch is what somebody else does to routes of the router.
func (r *router) touch(do func(), prefixes ...netip.Prefix) {
	now := time.Now()
	r.world.watch(now)
	r.touched = now
	do()
	r.refresh(now, true)
	for _, prefix := range prefixes {
		r.strike(prefix, now)
	}
}

// strike counts what repairs will be counted: five in a minute are a fight.
func (r *router) strike(prefix netip.Prefix, now time.Time) {
	recent := slices.DeleteFunc(r.strikes[prefix], func(at time.Time) bool { return now.Sub(at) > 2*time.Minute })
	r.strikes[prefix] = append(recent, now)
	if len(r.strikes[prefix]) >= 4 {
		r.fought[prefix] = true
	}
}

// trouble keeps us from steering the router until the returned function is
// called.
func (r *router) trouble(begin, end func()) (over func()) {
	r.world.watch(time.Now())
	r.troubles++
	begin()
	return func() {
		r.world.watch(time.Now())
		r.troubles--
		r.free = time.Now()
		end()
	}
}

// patience is how long the router may take for what it is asked: two passes of
// eight calls each.
func (r *router) patience() time.Duration { return time.Second + 32*r.delay }

// open connects to the router for a site's VIPs.
func (w *world) open(r topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	router := w.router(r.Name)
	if router.closed {
		return nil, errors.New("no route to host")
	}
	var prefixes []netip.Prefix
	for _, cohort := range cohorts.All() {
		prefixes = append(prefixes, cohort.Prefixes...)
	}
	h := &hand{Driver: router.mem.Open(prefixes), router: router}
	if r.Cisco != nil {
		return blind{h}, nil
	}
	return h, nil
}

// router is the one of that name.
func (w *world) router(name topology.RouterName) *router {
	if w.routers[name] == nil {
		w.routers[name] = w.newRouter(name)
	}
	return w.routers[name]
}

// A hand is a driver of a router that takes its time, and whose every change is
// looked at.
type hand struct {
	*mem.Driver
	router *router
}

// A blind hand is not told when the router's table changes.
type blind struct{ drivers.Driver }

// pause is how long a call takes, which depends on when it comes alone: a pass more
// or less, as Go's scheduler has it, changes no other.
func (h *hand) pause(ctx context.Context) error {
	h.router.world.mu.Lock()
	d := h.router.delay + time.Millisecond
	d += share(h.router.world.chance(fmt.Sprint(h.router.name, time.Since(h.router.world.began))), d)
	h.router.world.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Routes implements drivers.Driver.
func (h *hand) Routes(ctx context.Context) ([]steer.Route, error) {
	if err := h.pause(ctx); err != nil {
		return nil, err
	}
	return h.Driver.Routes(ctx)
}

// Apply implements drivers.Driver.
func (h *hand) Apply(ctx context.Context, changes []steer.Change) (int, error) {
	if err := h.pause(ctx); err != nil {
		return 0, err
	}
	w, now := h.router.world, time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch(now)
	before := h.router.table
	n, err := h.Driver.Apply(ctx, changes)
	h.router.refresh(now, false)
	for _, change := range changes {
		for _, prefix := range change.Prefixes {
			w.changed(h.router, prefix, change, before[prefix], h.router.table[prefix], now)
		}
	}
	return n, err
}

// changed looks at what a driver did to one prefix.
func (w *world) changed(r *router, prefix netip.Prefix, change steer.Change, was, now kept, at time.Time) {
	if slices.Equal(was.hops, now.hops) && was.foreign == now.foreign {
		return
	}
	w.figures.changes++
	w.say(at, string(r.name), "%s goes from %s to %s (%s)", prefix, w.via(was.hops), w.via(now.hops), change.Reason)
	if len(was.hops) > 0 && len(now.hops) == 0 {
		w.gap(r, prefix, change)
	}
	if change.Failure && change.Op != steer.Add && !was.strange {
		w.bounded(r, at)
	}
	w.ordered(r, prefix, now, at)
}

// bounded holds that failures move no more prefixes on a router in a time than its
// change_limit, across restarts.
func (w *world) bounded(r *router, at time.Time) {
	config, _ := w.site.Router(r.name)
	limit := config.ChangeLimit
	if limit.Changes == 0 {
		return
	}
	r.moved = slices.DeleteFunc(append(r.moved, at), func(moved time.Time) bool { return at.Sub(moved) >= limit.Per })
	if len(r.moved) > limit.Changes {
		w.breaks("failures move no more than change_limit", "%s: %d prefixes within %s", r.name, len(r.moved), limit.Per)
	}
}

// forget takes what was moved just before a controller was killed out of the count: it
// may not have been noted.
func (r *router) forget(killed time.Time) {
	r.moved = slices.DeleteFunc(r.moved, func(moved time.Time) bool { return killed.Sub(moved) < r.patience() })
}

// via names the servers behind next hops.
func (w *world) via(hops []steer.NextHop) string {
	var names []string
	for _, hop := range hops {
		if name, known := w.owner[hop.Address]; known {
			names = append(names, string(name))
		} else {
			names = append(names, hop.Address.String())
		}
	}
	if len(names) == 0 {
		return "nowhere"
	}
	return strings.Join(names, ",")
}

// servers are the known servers behind next hops; all is false if there are
// others.
func (w *world) servers(hops []steer.NextHop) (names []topology.ServerName, all bool) {
	names = steer.ServersOf(w.owner, hops)
	return names, len(names) == len(hops)
}
