// Package bgp announces VIPs to routers by BGP-4 (RFC 4271), each with the
// chosen server's address as a third-party next hop, from a speaker within this
// process: GoBGP as a library. Nothing listens unless a peer is passive, or has
// BFD, and nothing that a router announces is used.
//
// # What is announced
//
// A move is an implicit replace (RFC 4271, section 3.1): one UPDATE with the new
// next hop, and never a withdrawal before it. Prefixes that change to the same,
// and carry the same attributes, the router's or their VIPs' own, share UPDATEs. A
// withdrawal may be announced before, with GRACEFUL_SHUTDOWN (RFC 8326).
//
// A route of several next hops (mode ecmp) is as many paths with identifiers
// (add-path, RFC 7911), of which those that change are replaced in place; a router
// that takes no add-path gets the best of them, and status says so. Weights that
// differ go along as link bandwidth extended communities
// (draft-ietf-idr-link-bandwidth), 1 Mbit/s for each unit of weight.
//
// FRR, and others that track next hops in another process, drop a path whose next
// hop no other path has until that process has spoken, some milliseconds. So a
// planned move to a server that has no prefix yet announces the new path beside the
// old one, where the router takes add-path, and withdraws the old one a moment
// later. When the old one has failed there is nothing to wait for.
//
// # What is known
//
// Routes is the speaker's own table: what peers whose session is established
// have been sent. BGP knows no acknowledgement beyond TCP's, and a router does
// not say whether it uses a path: a wrong next hop, a filter or a better path
// from elsewhere are seen on the router alone. With no session established the
// table reaches nobody, and Info says why.
//
// # Restarts
//
// With graceful restart (RFC 4724) routers keep forwarding while this process is
// away. They cannot be asked what they have, because no router announces a path
// back to where it came from. So what is announced is kept in a file, as a
// memory that is as good as the routers' own: older than the restart time it
// counts for nothing. A speaker that starts takes the paths from there before it
// connects to anybody, and then replaces them in place; without the file it
// waits for paths of all prefixes, but not for longer than patience.
//
// A speaker lives on while drivers come and go: neither a reload of the site nor
// a look that failed touches a session. See Host.
package bgp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

// maxPaths is how many next hops a route may have: what SendMax of add-path
// lets through.
const maxPaths = 64

// A Driver steers the prefixes of one site through a Host's speaker. One
// goroutine uses it at a time, but Changed may be received from by another.
type Driver struct {
	host    *Host
	speaker *speaker
	closed  bool
}

var errClosed = errors.New("the driver is closed")

// Routes returns the paths in the speaker's table, but for those that are
// announced with GRACEFUL_SHUTDOWN alone, and withdraws those of them whose time
// is over.
func (d *Driver) Routes(ctx context.Context) ([]steer.Route, error) {
	if err := d.usable(ctx); err != nil {
		return nil, fmt.Errorf("read the speaker's routes: %w", err)
	}
	if err := d.speaker.depart(ctx); err != nil {
		return nil, fmt.Errorf("withdraw routes after GRACEFUL_SHUTDOWN: %w", err)
	}
	routes, err := d.speaker.routes()
	if err != nil {
		return nil, fmt.Errorf("read the speaker's routes: %w", err)
	}
	d.speaker.memory.touch()
	steer.SortRoutes(routes)
	return routes, ctx.Err()
}

// Apply announces and withdraws. Of several changes of a prefix only what the
// last leads to is announced.
func (d *Driver) Apply(ctx context.Context, changes []steer.Change) (int, error) {
	if err := d.usable(ctx); err != nil {
		return 0, fmt.Errorf("announce routes: %w", err)
	}
	want := wishes{to: map[netip.Prefix][]steer.NextHop{}, gentle: map[netip.Prefix]bool{}}
	done, errs := d.outcome(changes, want)
	if err := d.speaker.announce(ctx, d.speaker.aims(want.to), want.gentle); err != nil {
		return 0, errors.Join(append(errs, fmt.Errorf("announce routes: %w", err))...)
	}
	d.speaker.settle()
	return done, errors.Join(errs...)
}

// wishes are what changes lead to.
type wishes struct {
	to     map[netip.Prefix][]steer.NextHop // nil: nothing is to be announced
	gentle map[netip.Prefix]bool            // the move is not for a fault
}

// outcome notes what the changes lead to. It returns for how many prefixes they
// are made, and why not for others.
func (d *Driver) outcome(changes []steer.Change, want wishes) (done int, errs []error) {
	for _, c := range changes {
		refused := map[string][]netip.Prefix{}
		to := normal(c.To)
		for _, p := range c.Prefixes {
			if fault := d.fault(p, c); fault != "" {
				refused[fault] = append(refused[fault], p)
				continue
			}
			want.to[p], want.gentle[p] = to, c.Graceful
			done++
		}
		for fault, prefixes := range refused {
			errs = append(errs, &drivers.ChangeError{Change: c.For(prefixes...), Err: errors.New(fault)})
		}
	}
	return done, errs
}

// fault says why a change of a prefix is refused; "" when it is not.
func (d *Driver) fault(p netip.Prefix, c steer.Change) string {
	switch {
	case d.speaker.offers[p] == nil:
		return "the prefix is not one of the site's VIPs: refusing to announce it"
	case c.Op == steer.Remove:
		return ""
	case c.Op != steer.Add && c.Op != steer.Replace:
		return fmt.Sprintf("no such operation: %q", c.Op)
	default:
		return unusable(p, c.To)
	}
}

// unusable says why a prefix cannot be announced by these next hops; "" when it
// can.
func unusable(p netip.Prefix, hops []steer.NextHop) string {
	switch {
	case len(hops) == 0:
		return "no next hop given; to withdraw a route, remove it"
	case len(hops) > maxPaths:
		return fmt.Sprintf("%d next hops; at most %d paths of a prefix are announced", len(hops), maxPaths)
	}
	for i, hop := range hops {
		switch {
		case !hop.Address.IsValid() || p.Addr().Is6() && hop.Address.Is4():
			return fmt.Sprintf("%s cannot be the next hop of a prefix of another family", hop.Address)
		case hop.Weight < 1 || hop.Weight > 256:
			return fmt.Sprintf("next hop %s has weight %d; 1 to 256 are known", hop.Address, hop.Weight)
		case slices.ContainsFunc(hops[:i], func(other steer.NextHop) bool { return other.Address == hop.Address }):
			return fmt.Sprintf("next hop %s is given twice; use a weight", hop.Address)
		}
	}
	return ""
}

// normal sorts next hops; the only one has weight 1, and nil stays nil.
func normal(hops []steer.NextHop) []steer.NextHop {
	hops = slices.Clone(hops)
	steer.SortNextHops(hops)
	if len(hops) == 1 {
		hops[0].Weight = 1
	}
	return hops
}

// Render returns the changes as the UPDATEs say them.
func (d *Driver) Render(changes []steer.Change) []string {
	var lines []string
	for _, c := range changes {
		for _, p := range c.Prefixes {
			switch c.Op {
			case steer.Remove:
				lines = append(lines, "withdraw "+p.String())
			default:
				lines = append(lines, fmt.Sprintf("announce %s next hop %s%s", p, steer.FormatNextHops(normal(c.To)), d.speaker.offers.words(p)))
			}
		}
	}
	return lines
}

// Changed receives when a session comes up or ends: routes change behind our
// back in no other way.
func (d *Driver) Changed() <-chan struct{} { return d.speaker.sessions.changed }

// Info tells of the sessions.
func (d *Driver) Info() drivers.Info { return d.speaker.info() }

// Close leaves the speaker with its sessions to the Host, and to the next
// driver.
func (d *Driver) Close() error {
	if !d.closed {
		d.closed = true
		d.host.release(d.speaker)
	}
	return nil
}

// usable says why a call cannot be made.
func (d *Driver) usable(ctx context.Context) error {
	if d.closed {
		return errClosed
	}
	return ctx.Err()
}
