package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
	"golang.org/x/sys/unix"
)

// Apply makes the changes, each prefix in place. A change that the kernel
// refuses, or that would touch a foreign route without Adopt, gives a
// *drivers.ChangeError and stops no other. When ctx ends, or the netlink
// socket fails, Apply stops, and what it did until then stays.
//
// With Adopt, the routes that Routes tells as Foreign give way to ours, except
// that of a connected network, which the kernel itself keeps. Remove never
// touches a foreign route. Stray entries of ours are removed once the right
// route stands.
func (d *Driver) Apply(ctx context.Context, changes []steer.Change) (int, error) {
	var (
		done int
		errs []error
	)
	changes = singly(changes)
	for len(changes) > 0 {
		n := distinct(changes)
		count, failed, err := d.applyDistinct(ctx, changes[:n])
		done += count
		errs = append(errs, failed...)
		if err != nil {
			return done, errors.Join(append(errs, err)...)
		}
		changes = changes[n:]
	}
	return done, errors.Join(errs...)
}

// singly splits the changes into such of one prefix each.
func singly(changes []steer.Change) []steer.Change {
	var single []steer.Change
	for _, c := range changes {
		for i := range c.Prefixes {
			single = append(single, c.For(c.Prefixes[i:i+1]...))
		}
	}
	return single
}

// distinct counts the changes (of one prefix each) up to one for a prefix that had one before,
// which has to wait for a fresh look.
func distinct(changes []steer.Change) int {
	seen := make(map[netip.Prefix]bool, len(changes))
	for i, c := range changes {
		if seen[c.Prefixes[0]] {
			return i
		}
		seen[c.Prefixes[0]] = true
	}
	return len(changes)
}

// applyDistinct makes changes of as many prefixes, one each. failed has a
// *drivers.ChangeError for each that did not take effect; err says why it had
// to stop.
func (d *Driver) applyDistinct(ctx context.Context, changes []steer.Change) (done int, failed []error, err error) {
	have, err := d.look(ctx)
	if err != nil {
		return 0, nil, err
	}
	steps := make([]step, len(changes))
	for i, c := range changes {
		steps[i] = d.plan(c, have[c.Prefixes[0]])
	}
	d.prepareFlows(steps)
	err = d.requests.during(ctx, func() error {
		if err := d.run(steps, func(s *step) []message { return s.make }); err != nil {
			return err
		}
		return d.run(steps, func(s *step) []message { return s.clean })
	})
	if err != nil {
		err = fmt.Errorf("change routes of table %d: %w", d.cfg.Table, err)
	}
	for i, s := range steps {
		switch {
		case s.err != nil:
			failed = append(failed, &drivers.ChangeError{Change: changes[i], Err: s.err})
		case s.unsure == 0:
			done++
		}
	}
	return done, failed, err
}

// A step is what one change comes to.
type step struct {
	change steer.Change
	make   []message // writes the route, or removes ours
	clean  []message // removes what is in the way of it, once it stands
	unsure int       // messages whose fate is not known yet
	err    error     // why it did not take effect
}

// run exchanges the messages that part gives for the steps that have not
// failed. Its error says why the exchange had to stop.
func (d *Driver) run(steps []step, part func(*step) []message) error {
	var (
		requests []message
		owners   []*step
	)
	for i := range steps {
		s := &steps[i]
		if s.err != nil {
			continue
		}
		for _, m := range part(s) {
			requests = append(requests, m)
			owners = append(owners, s)
		}
	}
	results, err := d.requests.exchange(requests)
	for i, result := range results {
		owners[i].settle(requests[i], result)
	}
	return err
}

// settle notes the fate of one message. A route that we meant to delete and
// that is not there is as we want it.
func (s *step) settle(m message, result error) {
	s.unsure--
	switch {
	case result == nil, m.kind == unix.RTM_DELROUTE && errors.Is(result, unix.ESRCH):
	case m.kind == unix.RTM_DELROUTE && s.change.Op != steer.Remove:
		s.err = errors.Join(s.err, fmt.Errorf("the route stands, but another entry in its way cannot be removed: %w", explain(s.change, result)))
	default:
		s.err = errors.Join(s.err, explain(s.change, result))
	}
}

// plan says what to do for one change of one prefix, given what the kernel has for its
// prefix.
func (d *Driver) plan(c steer.Change, have []entry) step {
	s := step{change: c}
	if s.err = d.check(c); s.err != nil {
		return s
	}
	switch c.Op {
	case steer.Remove:
		for _, e := range have {
			if d.ours(e) {
				s.make = append(s.make, deleteRoute(e))
			}
		}
	default:
		d.planWrite(&s, have)
	}
	s.unsure = len(s.make) + len(s.clean)
	return s
}

// check refuses changes that no kernel should see.
func (d *Driver) check(c steer.Change) error {
	if !d.prefixes[c.Prefixes[0]] {
		return errors.New("the prefix is not one of the site's VIPs: refusing to touch its routes")
	}
	switch c.Op {
	case steer.Remove:
		return nil
	case steer.Add, steer.Replace:
		return checkNextHops(c)
	default:
		return fmt.Errorf("no such operation: %q", c.Op)
	}
}

func checkNextHops(c steer.Change) error {
	if len(c.To) == 0 {
		return errors.New("no next hop given; to withdraw a route, remove it")
	}
	seen := map[netip.Addr]bool{}
	for _, h := range c.To {
		switch {
		case !h.Address.IsValid() || h.Address.IsUnspecified() || h.Address.Is4In6() || h.Address.Zone() != "":
			return fmt.Errorf("%q cannot be a next hop", h.Address)
		case c.Prefixes[0].Addr().Is6() && h.Address.Is4():
			return fmt.Errorf("an IPv6 prefix cannot have the IPv4 next hop %s", h.Address)
		case h.Weight < 1 || h.Weight > 256:
			return fmt.Errorf("next hop %s has weight %d; Linux knows 1 to 256", h.Address, h.Weight)
		case seen[h.Address]:
			return fmt.Errorf("next hop %s is given twice; use a weight", h.Address)
		}
		seen[h.Address] = true
	}
	return nil
}

// planWrite plans an Add or Replace. Which of the two makes no difference: the
// kernel's table says whether there is something to replace, and whose it is.
//
// Of several entries with our key, which IPv4 allows, the kernel replaces the
// first, and refuses to replace it by one that already stands further down.
func (d *Driver) planWrite(s *step, have []entry) {
	c := s.change
	at := slices.IndexFunc(have, d.sameKey)
	standing := slices.IndexFunc(have, func(e entry) bool {
		return d.proper(e) && slices.Equal(e.nextHops(), normal(c.To))
	})
	replaced := -1
	switch {
	case at >= 0 && !d.ours(have[at]) && !c.Adopt:
		s.err = fmt.Errorf("a foreign route stands there: %s; remove it, or let the router adopt it (adopt: true)", d.words(have[at]))
		return
	case standing >= 0:
	case at >= 0:
		replaced = at
		s.make = []message{d.writeRoute(c.Prefixes[0], c.To, unix.NLM_F_REPLACE)}
	default:
		s.make = []message{d.writeRoute(c.Prefixes[0], c.To, unix.NLM_F_EXCL)}
	}
	for i, e := range have {
		adopted := c.Adopt && !d.ours(e) && e.metric <= d.metric(c.Prefixes[0])
		if adopted && e.protocol == unix.RTPROT_KERNEL {
			s.err = fmt.Errorf("the prefix is a connected network of this machine (%s), which cannot be adopted; "+
				"remove its address from the interface", d.words(e))
			return
		}
		if i != standing && i != replaced && (d.ours(e) || adopted) {
			s.clean = append(s.clean, deleteRoute(e))
		}
	}
}

// words describes an entry for an error.
func (d *Driver) words(e entry) string {
	detail := e.detail(d.requests.interfaceNames())
	if hops := e.nextHops(); len(hops) > 0 {
		return "via " + steer.FormatNextHops(hops) + " " + detail
	}
	return detail
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
