package simulation

import (
	"errors"
	"fmt"
	"time"

	"github.com/routesteer/routesteer/steer"
)

// A mishap is what happens to a router. It returns what ends it, nil for what is
// over at once, and says what it was.
type mishap func(r *router, d dice) (over func(), what string)

func slow(r *router, d dice) (func(), string) {
	delay := r.delay
	r.trouble(func() { r.delay = d.between(200*time.Millisecond, 4*time.Second) }, func() {})
	return func() {
		r.world.watch(time.Now())
		r.troubles--
		r.free = time.Now().Add(32 * r.delay) // what is under way ends first
		r.delay = delay
	}, "takes its time"
}

func cut(r *router, d dice) (func(), string) {
	closed := d.IntN(2) == 0
	return r.trouble(func() { r.mem.Cut(); r.closed = closed }, func() { r.mem.Mend(); r.closed = false }), "is cut off"
}

func cutHalfway(r *router, d dice) (func(), string) {
	changes := d.IntN(3)
	return r.trouble(func() { r.mem.CutAfter(changes) }, r.mem.Mend), fmt.Sprintf("will be cut off after %d changes", changes)
}

// restart takes all routes along, and the router is away for a while.
func restart(r *router, _ dice) (func(), string) {
	return r.trouble(func() {
		r.mem.Cut()
		r.closed = true
		for _, route := range r.mem.Look() {
			r.touch(func() { r.mem.Take(route.Prefix) }, route.Prefix)
		}
	}, func() { r.mem.Mend(); r.closed = false }), "restarts, and forgets its routes"
}

func vanish(r *router, d dice) (func(), string) {
	prefix := d.prefix(r.world.site)
	r.touch(func() { r.mem.Take(prefix) }, prefix)
	return nil, "loses its route for " + prefix.String()
}

func bend(r *router, d dice) (func(), string) {
	prefix, server := d.prefix(r.world.site), d.server(r.world.site)
	hops := []steer.NextHop{{Address: server.Addresses[0], Weight: 1}}
	r.touch(func() { r.mem.Plant(steer.Route{Prefix: prefix, NextHops: hops}) }, prefix)
	return nil, fmt.Sprintf("has its route for %s bent to %s", prefix, server.Name)
}

func occupy(r *router, d dice) (func(), string) {
	prefix, server := d.prefix(r.world.site), d.server(r.world.site)
	hops := []steer.NextHop{{Address: server.Addresses[0], Weight: 1}}
	r.touch(func() { r.mem.Plant(steer.Route{Prefix: prefix, NextHops: hops, Foreign: true}) })
	return func() {
		if r.table[prefix].foreign {
			r.touch(func() { r.mem.Take(prefix) })
		}
	}, fmt.Sprintf("has a foreign route for %s by %s", prefix, server.Name)
}

func refuse(r *router, d dice) (func(), string) {
	address := d.server(r.world.site).Addresses[0]
	return r.trouble(func() { r.mem.Refuse(address, errors.New("network is unreachable")) }, func() { r.mem.Refuse(address, nil) }), "refuses routes by " + address.String()
}

// contest is another program that changes the route back, whatever we do.
func contest(r *router, d dice) (func(), string) {
	prefix, server := d.prefix(r.world.site), d.server(r.world.site)
	route := steer.Route{Prefix: prefix, NextHops: []steer.NextHop{{Address: server.Addresses[0], Weight: 1}}}
	var end func()
	r.fought[prefix] = true
	over := r.trouble(func() { end = r.mem.Contest(route); r.touch(func() { r.mem.Plant(route) }) }, func() { end() })
	return over, fmt.Sprintf("has another program that wants %s at %s", prefix, server.Name)
}
