// Package linux drives the routes of a Linux kernel: of the machine, and the
// network namespace, that routesteer runs in.
//
// Our routes carry our route protocol number (82 unless the site says
// otherwise), which is how the kernel keeps our mark for us. That of a prefix
// that moves by itself is a plain gateway route:
//
//	203.0.113.32/27 via 192.0.2.12 proto 82 metric 0 table 254
//
// No interface is named: the kernel finds it by the connected network that the
// next hop is on, and refuses a next hop that is on none.
//
// # Cohorts
//
// Prefixes that always move together point at one nexthop object
// (ip-nexthop(8)) with an id from 0x52530000 to 0x5253ffff and our protocol
// number, so that one message moves them all:
//
//	10.0.0.0/32 nhid 1381171201 proto 82 metric 0 table 254
//	id 1381171200 via 192.0.2.12 dev lan0 proto 82
//	id 1381171201 group 1381171200 proto 82
//
// The object is a group even for one next hop, because the kernel makes no
// group of another object in place, nor the reverse. To move it, its only
// member is given another gateway, or the group other members. A prefix that
// goes another way than its cohort has a plain route until it agrees again. So
// have all where the kernel has no nexthop objects (before Linux 5.3), where
// the interface towards a next hop cannot be told, or has no carrier.
//
// An object is a cohort's because its routes point at it: nothing is
// remembered elsewhere. One that a route of another cohort or program in our
// table uses too is left alone, and the cohort gets a new one. Objects that no
// route uses any more are removed; what routes or groups of whomever use is not,
// because the kernel removes the routes with the object. When the last interface
// of a group loses its carrier, the kernel removes the group and its routes and
// tells nobody, and brings neither back; a plain route it would keep.
//
// With resilient, groups are of that type (also those of one prefix), with 1,024
// buckets of 32 bytes, an idle timer of 30 seconds and an unbalanced timer of
// ten minutes: flows of the remaining members stay where they are when one
// is lost; one that returns gets the buckets without a packet for 30 seconds, and
// after ten minutes its share of the others, whose flows are then cut. It is for
// failures: it cannot drain, because a bucket holds many flows. With few flows, and
// the usual net.ipv4.fib_multipath_hash_policy=0, shares are by addresses only.
//
// # What is read
//
// The kernel's key of a route is (prefix, table, metric). In the configured
// table, for exactly the configured prefixes, Routes tells
//
//   - ours: our protocol number, our metric, unicast by gateways;
//   - stray: our protocol number, but another metric, a second entry of the
//     same key, anything that we never write (blackhole, on-link, another nexthop
//     object, route metrics such as an MTU), or not on its cohort's object though it
//     could be;
//   - foreign: another protocol number, and it takes the packets: its metric is
//     lower than ours, or the same and it stands before ours, or ours is missing.
//
// A foreign route behind ours is a fallback, does no harm, and is not told. Routes of other tables are not looked at.
//
// Each look is a dump of the table. Linux cannot filter a dump by prefix: where
// the table holds a full BGP feed, give the VIPs a table of their own and a
// policy rule, and a look costs microseconds again. Apply looks only if the
// kernel has told of anything that concerns us since the last look, and was not
// done by ourselves.
//
// # What is written
//
// One RTM_NEWROUTE with NLM_F_REPLACE per prefix, many in one system call. The
// kernel swaps the next hops in place: there is no moment without a route. The
// kernel has no "replace only if it is still ours", so Apply looks, or reads the
// news, first, and makes new routes with NLM_F_EXCL. What remains is the fraction
// of a millisecond between that and the write.
//
// For IPv4 this is exact. For IPv6 routes of several next hops the kernel has a
// race of its own: a packet that is looked up on another CPU in the very
// instant may find the old next hop already released, and be answered
// "unreachable" (5 of 47,000 lookups, during 6,000 replacements back to back, Linux
// 6.18); the next packet is not. IPv6 routes of one next hop showed none.
//
// The kernel keeps no weight for a route of one next hop: it reads back as 1.
//
// See rtnetlink(7), netlink(7) and ip-route(8).
package linux

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/drivers/linux/flows"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// kernelMetric6 is what IPv6 makes of metric 0 (IP6_RT_PRIO_USER).
const kernelMetric6 = 1024

// A Driver holds our routes in one table of one network namespace. One
// goroutine uses it at a time, but Changed may be received from by another.
type Driver struct {
	cfg       topology.Linux
	all       []*cohort                // of the site; never changed
	cohorts   map[netip.Prefix]*cohort // the same; never changed
	families  []uint8                  // AF_INET, AF_INET6: those that there are prefixes of
	requests  *socket
	watch     *watch
	log       *slog.Logger
	kept      *look               // the last one; nil if it is known not to be true any more
	plainOnly bool                // the kernel takes no nexthop objects
	unfit     map[netip.Addr]bool // next hops of which it refused one since the last news
	unfitAt   uint64              // the watch's count then
	tidied    bool                // orphans of an earlier life have been looked for

	flows *flows.Keeper // of KeepFlows; nil when changes cut connections
	cuts  error         // why they do, or the last graceful one did
}

// Open opens the kernel of the calling thread's network namespace for a
// site's prefixes, which are given in cohorts: prefixes of one family that
// always move together. Each has one prefix or more, sorted, and none is in two;
// the slices are kept. The driver stays in that namespace, whatever the thread does
// later. cfg has its defaults filled in. Reading needs no rights; Apply needs
// CAP_NET_ADMIN.
func Open(cfg topology.Linux, cohorts [][]netip.Prefix, log *slog.Logger) (*Driver, error) {
	return open(here, cfg, cohorts, log, watchBuffer)
}

// OpenAt is Open in the network namespace of the file descriptor ns, which it
// does not keep. Entering a namespace needs CAP_SYS_ADMIN.
func OpenAt(ns int, cfg topology.Linux, cohorts [][]netip.Prefix, log *slog.Logger) (*Driver, error) {
	return open(inNamespace(ns), cfg, cohorts, log, watchBuffer)
}

func open(in opener, cfg topology.Linux, cohorts [][]netip.Prefix, log *slog.Logger, buffer int) (*Driver, error) {
	d := &Driver{cfg: cfg, log: log, cohorts: map[netip.Prefix]*cohort{}, unfit: map[netip.Addr]bool{}}
	for _, prefixes := range cohorts {
		if err := d.include(prefixes); err != nil {
			return nil, fmt.Errorf("open the kernel's routes: %w", err)
		}
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if slices.ContainsFunc(d.all, func(c *cohort) bool { return familyOf(c.prefixes[0].Addr()) == family }) {
			d.families = append(d.families, family)
		}
	}
	var err error
	if d.requests, err = openSocket(in); err != nil {
		return nil, fmt.Errorf("open the kernel's routes: %w", err)
	}
	if d.watch, err = startWatch(in, d.concerns, buffer, d.requests, log); err != nil {
		return nil, fmt.Errorf("watch the kernel's routes: %w", errors.Join(err, d.requests.close()))
	}
	return d, nil
}

// include adds one cohort.
func (d *Driver) include(prefixes []netip.Prefix) error {
	if len(prefixes) == 0 {
		return errors.New("a cohort without prefixes")
	}
	c := &cohort{index: len(d.all), prefixes: prefixes}
	for i, p := range prefixes {
		switch {
		case p != p.Masked() || !p.IsValid():
			return fmt.Errorf("%s is not a prefix without host bits", p)
		case d.cohorts[p] != nil:
			return fmt.Errorf("%s is given twice", p)
		case i > 0 && (p.Addr().Is4() != prefixes[0].Addr().Is4() || steer.ComparePrefix(prefixes[i-1], p) > 0):
			return fmt.Errorf("the cohort of %s is not sorted, or of two families", prefixes[0])
		}
		d.cohorts[p] = c
	}
	d.all = append(d.all, c)
	return nil
}

// Routes dumps the table and returns the routes for our prefixes; see the
// package comment for which. Routes that are alike share their NextHops, which
// are not to be changed. The error is ctx's, or the kernel's.
func (d *Driver) Routes(ctx context.Context) ([]steer.Route, error) {
	l, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	var routes []steer.Route
	if err := d.requests.during(ctx, func() error {
		routes = d.tell(l)
		d.watch.uses(d.links(l))
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the kernel's routes of table %d: %w", d.cfg.Table, err)
	}
	steer.SortRoutes(routes)
	return routes, nil
}

// Changed receives after a change of a route for one of our prefixes in our
// table by others, and after any change of a link, an address or a nexthop
// object, which may take routes away without another word from the kernel. It
// also receives when the kernel had more news than its buffer could hold.
func (d *Driver) Changed() <-chan struct{} { return d.watch.changed }

// Shaken reports, once, whether a link of our routes went down since it was
// asked last, or an address of it away.
func (d *Driver) Shaken() bool { return d.watch.shaken.Swap(false) }

// Close leaves the routes, and connections, in place. It returns when the
// watching has ended. A second Close does nothing.
func (d *Driver) Close() error {
	var err error
	if d.flows != nil {
		err = d.flows.Close()
	}
	return errors.Join(d.watch.close(), d.requests.close(), err)
}

// metric is the metric that our routes of a family have in the kernel.
func (d *Driver) metric(family uint8) uint32 { return metric(d.cfg, family) }

func metric(cfg topology.Linux, family uint8) uint32 {
	if cfg.Metric == 0 && family == unix.AF_INET6 {
		return kernelMetric6
	}
	return uint32(cfg.Metric)
}

// concerns reports whether a route is one that Routes may tell of.
func (d *Driver) concerns(table uint32, p netip.Prefix) bool {
	return table == uint32(d.cfg.Table) && d.cohorts[p] != nil
}

func familyOf(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
