package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/steer"
	"golang.org/x/sys/unix"
)

// look dumps the table and returns the entries for our prefixes, those of one
// prefix in the kernel's order: the lower metric first, and among equal
// metrics the one that gets the packets, and that NLM_F_REPLACE replaces.
func (d *Driver) look(ctx context.Context) (map[netip.Prefix][]entry, error) {
	have := map[netip.Prefix][]entry{}
	err := d.requests.during(ctx, func() error {
		objects := false
		for _, family := range d.families {
			entries, err := d.dumpFamily(family)
			if err != nil {
				return err
			}
			for _, e := range entries {
				objects = objects || e.nexthopID != 0
				have[e.prefix] = append(have[e.prefix], e)
			}
		}
		if !objects {
			return nil
		}
		return d.resolveObjects(have)
	})
	if err != nil {
		return nil, fmt.Errorf("read the kernel's routes of table %d: %w", d.cfg.Table, err)
	}
	return have, nil
}

func (d *Driver) dumpFamily(family uint8) ([]entry, error) {
	var entries []entry
	reset := func() { entries = nil }
	err := d.requests.dump(dumpRoutes(family, d.cfg.Table), unix.RTM_NEWROUTE, reset, func(payload []byte) error {
		table, p, ok := routeKey(payload)
		if !ok || !d.concerns(table, p) {
			return nil
		}
		e, err := parseRoute(bytes.Clone(payload))
		entries = append(entries, e)
		return err
	})
	if errors.Is(err, unix.ENOENT) { // the table has never had a route
		return nil, nil
	}
	return entries, err
}

// told returns what Routes tells of the entries of one prefix.
func (d *Driver) told(entries []entry, name func(uint32) string) []steer.Route {
	var routes []steer.Route
	proper := false
	for _, e := range entries {
		if !d.ours(e) && (proper || e.metric > d.metric(e.prefix)) {
			continue // a fallback below ours
		}
		r := steer.Route{Prefix: e.prefix, NextHops: e.nextHops(), Foreign: !d.ours(e), Detail: e.detail(name)}
		if !r.Foreign {
			r.Stray = proper || !d.proper(e)
			proper = proper || d.proper(e)
		}
		routes = append(routes, r)
	}
	return routes
}

func (d *Driver) ours(e entry) bool { return e.protocol == d.cfg.Protocol }

// sameKey reports whether e stands where our route for its prefix does.
func (d *Driver) sameKey(e entry) bool { return e.metric == d.metric(e.prefix) && e.tos == 0 }

// proper reports whether e is as we would write it, to whichever next hops.
func (d *Driver) proper(e entry) bool {
	return d.ours(e) && d.sameKey(e) && e.kind == unix.RTN_UNICAST &&
		e.nexthopID == 0 && !e.fancy && len(e.hops) > 0 && !slices.ContainsFunc(e.hops, hop.unusual)
}

func (h hop) unusual() bool {
	return !h.gateway.IsValid() || h.addition || h.flags&unix.RTNH_F_ONLINK != 0
}

// nextHops are the entry's gateways, sorted; a hop without one is left out.
func (e entry) nextHops() []steer.NextHop {
	var hops []steer.NextHop
	for _, h := range e.hops {
		if h.gateway.IsValid() {
			hops = append(hops, steer.NextHop{Address: h.gateway, Weight: h.weight})
		}
	}
	if len(hops) == 1 {
		hops[0].Weight = 1
	}
	steer.SortNextHops(hops)
	return hops
}
