// Package mem is a router in memory, for tests and simulation. It keeps the
// rules of real ones strictly (whose a route is, what may be written, that a
// prefix never goes without a route while it is replaced) and can be told to
// be slow, to refuse, to stop half-way and to be gone.
//
// A Router is the device; Open gives a Driver on it, as often as one likes. It
// knows no metrics: a foreign route always stands where ours would.
package mem

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/routesteer/routesteer/steer"
)

// ErrLost is what a Driver's calls give while the router is cut off.
var ErrLost = errors.New("connection to the router lost")

// A Router holds routes. Its methods may be called by several goroutines.
type Router struct {
	mu       sync.Mutex
	routes   map[netip.Prefix][]steer.Route // never an empty list
	refused  map[netip.Addr]error           // next hops that are not accepted
	delay    time.Duration
	lost     error // why the router cannot be reached; nil when it can
	budget   int   // changes until lost becomes ErrLost; negative: no such plan
	changes  int
	gaps     map[netip.Prefix]int
	contests map[netip.Prefix]steer.Route // what another program puts back at once
	watchers map[*Driver]bool
	keeping  keeping
}

// NewRouter returns a router without routes.
func NewRouter() *Router {
	return &Router{
		routes:   map[netip.Prefix][]steer.Route{},
		refused:  map[netip.Addr]error{},
		budget:   -1,
		gaps:     map[netip.Prefix]int{},
		contests: map[netip.Prefix]steer.Route{},
		watchers: map[*Driver]bool{},
		keeping: keeping{
			connections: map[netip.Prefix]map[netip.Addr]int{},
			under:       map[netip.Prefix]steer.Transition{},
			released:    map[netip.Prefix][]netip.Addr{},
		},
	}
}

// Look returns all routes, sorted as steer.SortRoutes sorts. Unlike a Driver,
// it answers at once and always.
func (r *Router) Look() []steer.Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.look(func(netip.Prefix) bool { return true })
}

func (r *Router) look(of func(netip.Prefix) bool) []steer.Route {
	var all []steer.Route
	for p, routes := range r.routes {
		if !of(p) {
			continue
		}
		for _, route := range routes {
			route.NextHops = slices.Clone(route.NextHops)
			all = append(all, route)
		}
	}
	steer.SortRoutes(all)
	return all
}

// String writes the routes as ip-route(8) would, a line each:
// "203.0.113.32/27 via 192.0.2.12 proto routesteer".
func (r *Router) String() string {
	var b strings.Builder
	for _, route := range r.Look() {
		fmt.Fprintf(&b, "%s%s %s\n", route.Prefix, nextHops(route.NextHops), route.Detail)
	}
	return b.String()
}

func nextHops(hops []steer.NextHop) string {
	if len(hops) == 1 {
		return " via " + hops[0].Address.String()
	}
	text := ""
	for _, h := range hops {
		text += fmt.Sprintf(" nexthop via %s weight %d", h.Address, h.Weight)
	}
	return text
}

// Changes counts the changes that Drivers made and that changed something.
func (r *Router) Changes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes
}

// Gaps counts how often the prefix lost its last route, by whomever.
func (r *Router) Gaps(p netip.Prefix) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gaps[p]
}

// Plant puts a route on the router as another program would, in the place of
// any that the prefix has. Foreign and Stray are as the route says; a Detail
// is made up when it has none.
func (r *Router) Plant(route steer.Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	route.Prefix = route.Prefix.Masked()
	route.NextHops = normal(route.NextHops)
	if route.Detail == "" {
		route.Detail = detail(route)
	}
	r.set(route.Prefix, []steer.Route{route})
}

// Append puts a route on the router beside those that the prefix has.
func (r *Router) Append(route steer.Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	route.Prefix = route.Prefix.Masked()
	route.NextHops = normal(route.NextHops)
	if route.Detail == "" {
		route.Detail = detail(route)
	}
	r.set(route.Prefix, append(slices.Clone(r.routes[route.Prefix]), route))
}

// Contest plants the route again whenever a Driver has changed its prefix, as
// another program would that answers at once, until end is called.
func (r *Router) Contest(route steer.Route) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	route.NextHops = normal(route.NextHops)
	if route.Detail == "" {
		route.Detail = detail(route)
	}
	r.contests[route.Prefix] = route
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.contests, route.Prefix)
	}
}

// Take removes the prefix's routes, whosever they are.
func (r *Router) Take(p netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(p.Masked(), nil)
}

// Delay makes every call of a Driver take so long, or until its context ends.
func (r *Router) Delay(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = d
}

// Refuse makes the router accept no route to the next hop, for the reason
// why; nil makes it accept them again.
func (r *Router) Refuse(nextHop netip.Addr, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why == nil {
		delete(r.refused, nextHop)
		return
	}
	r.refused[nextHop] = why
}

// Cut makes every call fail with ErrLost until Mend.
func (r *Router) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = ErrLost
}

// CutAfter lets so many more changes take effect, and then does as Cut does,
// in the middle of an Apply if need be.
func (r *Router) CutAfter(changes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.budget = changes
}

// Mend ends what Cut and CutAfter began.
func (r *Router) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost, r.budget = nil, -1
}

// set replaces all routes of a prefix at once, and tells the watchers. mu is
// held.
func (r *Router) set(p netip.Prefix, routes []steer.Route) {
	before := len(r.routes[p])
	r.routes[p] = routes
	if len(routes) == 0 {
		delete(r.routes, p)
		if before > 0 {
			r.gaps[p]++
		}
	}
	for d := range r.watchers {
		if d.prefixes[p] {
			d.signal()
		}
	}
}

func detail(route steer.Route) string {
	switch {
	case route.Foreign:
		return "proto static"
	case route.Stray:
		return "proto routesteer metric 7"
	default:
		return "proto routesteer"
	}
}

// normal is how next hops read back: sorted, and of weight 1 if single.
func normal(hops []steer.NextHop) []steer.NextHop {
	hops = slices.Clone(hops)
	if len(hops) == 1 {
		hops[0].Weight = 1
	}
	steer.SortNextHops(hops)
	return hops
}
