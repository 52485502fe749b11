package flows

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// Transitions returns what is under way, sorted by prefix, with the flows that
// are not where the route goes now. It mends what a link that went down took
// away, and cleans up after prefixes whose time has run out.
func (k *Keeper) Transitions() ([]steer.Transition, error) {
	var all []steer.Transition
	for _, h := range k.halves {
		if err := h.look(); err != nil {
			return nil, fmt.Errorf("keep connections by nftables: %w", err)
		}
		found, err := k.count(h, h.under)
		if err != nil {
			return nil, fmt.Errorf("keep connections by nftables: %w", err)
		}
		all = append(all, found...)
	}
	return all, errors.Join(k.tidy(), k.ways.mend())
}

// count says of each prefix which flows are left.
func (k *Keeper) count(h *half, under map[netip.Prefix]element) ([]steer.Transition, error) {
	if len(under) == 0 {
		return nil, nil
	}
	left := map[netip.Prefix]map[uint32]int{}
	finder := newFinder(under)
	err := k.dumper.flows(h.family, h.sets.flows.Name, func(n noted) {
		prefix, is := finder.find(h.family.vip(n.key))
		// How long it has been silent shows in when it will be forgotten. One that
		// ends will be soon, and does not count.
		if is && n.mark != under[prefix].next && h.sets.flows.Timeout-n.expires < h.options.Idle {
			if left[prefix] == nil {
				left[prefix] = map[uint32]int{}
			}
			left[prefix][n.mark]++
		}
	})
	if err != nil {
		return nil, err
	}
	overflow, err := k.overflow(h, finder)
	if err != nil {
		return nil, err
	}
	all := make([]steer.Transition, 0, len(under))
	for prefix, e := range under {
		t := steer.Transition{
			Prefix: prefix, To: k.ways.hops(e.next), From: k.ways.hops(e.base),
			Since: e.since, Until: e.until, Overflow: overflow[prefix],
		}
		for mark, flows := range left[prefix] {
			t.Left = append(t.Left, steer.Left{At: k.ways.hops(mark), Flows: flows})
		}
		slices.SortFunc(t.Left, func(a, b steer.Left) int { return slices.CompareFunc(a.At, b.At, steer.CompareNextHop) })
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b steer.Transition) int { return steer.ComparePrefix(a.Prefix, b.Prefix) })
	return all, nil
}

// overflow counts the flows that there was no room to note.
func (k *Keeper) overflow(h *half, finder *finder) (map[netip.Prefix]uint64, error) {
	raw, err := h.conn.GetSetElements(h.sets.missed)
	if err != nil {
		return nil, fmt.Errorf("read the nftables set %s: %w", h.sets.missed.Name, err)
	}
	overflow := map[netip.Prefix]uint64{}
	for _, e := range raw {
		address, _ := netip.AddrFromSlice(e.Key)
		if prefix, is := finder.find(address); is && e.Counter != nil {
			overflow[prefix] += e.Counter.Packets
		}
	}
	return overflow, nil
}

// Release gives up the flows of prefixes at next hops that are lost: what is
// still said on them goes where the route goes now, whose server resets them,
// so that clients need not wait for an answer.
func (k *Keeper) Release(lost map[netip.Prefix][]netip.Addr) error {
	for _, h := range k.halves {
		if err := k.release(h, h.under, lost); err != nil {
			return fmt.Errorf("release connections: %w", err)
		}
	}
	return nil
}

func (k *Keeper) release(h *half, under map[netip.Prefix]element, lost map[netip.Prefix][]netip.Addr) error {
	isLost := func(prefix netip.Prefix, mark uint32) bool {
		return slices.ContainsFunc(k.ways.hops(mark), func(hop steer.NextHop) bool { return slices.Contains(lost[prefix], hop.Address) })
	}
	var steps []step
	for prefix, e := range under {
		if e.base != e.next && isLost(prefix, e.base) {
			steps = append(steps, step{prefix: prefix, was: e, base: e.next, from: e.next, next: e.next})
		}
	}
	if err := h.redirect(steps); err != nil {
		return err
	}
	finder := newFinder(under)
	var moved []nftables.SetElement
	gone, err := k.collect(h, h.sets.flows, func(vip netip.Addr, n noted) bool {
		prefix, is := finder.find(vip)
		lost := is && n.mark != under[prefix].next && isLost(prefix, n.mark)
		if lost {
			moved = append(moved, nftables.SetElement{Key: slices.Clone(n.key), Val: putMark(under[prefix].next), Timeout: closingFor})
		}
		return lost
	})
	if err != nil {
		return err
	}
	if err := h.rewrite(h.sets.flows, gone, moved); err != nil {
		return err
	}
	return k.purge(h, h.sets.udp, func(vip netip.Addr, n noted) bool { // nobody resets UDP: it follows the route
		prefix, is := finder.find(vip)
		return is && isLost(prefix, n.mark)
	})
}

// collect lists the flows of a map that are wanted.
func (k *Keeper) collect(h *half, set *nftables.Set, wanted func(vip netip.Addr, n noted) bool) ([]nftables.SetElement, error) {
	var all []nftables.SetElement
	err := k.dumper.flows(h.family, set.Name, func(n noted) {
		if wanted(h.family.vip(n.key), n) {
			all = append(all, nftables.SetElement{Key: slices.Clone(n.key), Val: putMark(n.mark)})
		}
	})
	return all, err
}

// purge removes the flows of a map that are unwanted.
func (k *Keeper) purge(h *half, set *nftables.Set, unwanted func(vip netip.Addr, n noted) bool) error {
	gone, err := k.collect(h, set, unwanted)
	if err != nil {
		return err
	}
	return h.rewrite(set, gone, nil)
}

// End ends transitions: all flows of the prefixes follow the route from here
// on.
func (k *Keeper) End(prefixes []netip.Prefix) error {
	var failed []error
	for _, h := range k.halves {
		mine := slices.DeleteFunc(slices.Clone(prefixes), func(p netip.Prefix) bool { return !h.family.has(p) })
		failed = append(failed, k.end(h, mine))
	}
	if err := errors.Join(append(failed, k.tidy())...); err != nil {
		return fmt.Errorf("end moves: %w", err)
	}
	return nil
}

func (k *Keeper) end(h *half, prefixes []netip.Prefix) error {
	var steps []step
	for _, p := range prefixes {
		if e, is := h.under[p]; is {
			steps = append(steps, step{prefix: p, was: e})
		}
	}
	switch {
	case len(steps) == 0:
		return nil
	case len(steps) == len(h.under): // the table goes, and all flows with it
		return h.drop()
	}
	if err := h.inParts(steps, h.remove); err != nil {
		if look := h.look(); look != nil || !errors.Is(err, unix.ENOENT) {
			return errors.Join(err, look)
		}
		return k.end(h, prefixes) // less what has expired
	}
	for _, s := range steps {
		delete(h.under, s.prefix)
	}
	return k.forget(h, prefixes)
}

// forget removes the flows of prefixes that are not in transition: what was
// noted once is not true any more when the next transition begins.
func (k *Keeper) forget(h *half, prefixes []netip.Prefix) error {
	if !h.loaded || len(prefixes) == 0 {
		return nil
	}
	of := map[netip.Prefix]element{}
	for _, p := range prefixes {
		of[p] = element{}
	}
	finder := newFinder(of)
	isOf := func(vip netip.Addr, _ noted) bool { _, is := finder.find(vip); return is }
	return errors.Join(k.purge(h, h.sets.flows, isOf), k.purge(h, h.sets.udp, isOf))
}

// tidy removes tables in which nothing is under way, and then the ways.
func (k *Keeper) tidy() error {
	var failed []error
	loaded := false
	for _, h := range k.halves {
		if h.loaded && len(h.under) == 0 {
			failed = append(failed, h.drop())
		}
		loaded = loaded || h.loaded
	}
	if !loaded && len(k.ways.all) > 0 {
		failed = append(failed, k.ways.drop())
	}
	return errors.Join(failed...)
}
