package linux

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Orphans returns the ids of the nexthop objects of ours, by number range and
// protocol, that no route of any table uses, of the calling thread's network
// namespace: groups first, then what may be their members. Routes for which
// leaving is true do not count; nil means all do.
func Orphans(ctx context.Context, protocol uint8, leaving func(table uint32, protocol uint8) bool) (ids []uint32, err error) {
	err = withSocket(ctx, func(s *socket) (err error) {
		ids, err = s.orphans(protocol, leaving)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find unused nexthop objects: %w", err)
	}
	return ids, nil
}

// RemoveOrphan removes a nexthop object that Orphans returned, from the same
// network namespace. To remove one that is used would remove its routes. One
// that has gone is no error. It needs CAP_NET_ADMIN.
func RemoveOrphan(ctx context.Context, id uint32) error {
	if err := withSocket(ctx, func(s *socket) error { return s.removeOrphan(id) }); err != nil {
		return fmt.Errorf("remove nexthop object %d: %w", id, err)
	}
	return nil
}

func withSocket(ctx context.Context, do func(*socket) error) error {
	s, err := openSocket(here)
	if err != nil {
		return err
	}
	err = s.during(ctx, func() error { return do(s) })
	return errors.Join(err, s.close())
}

// removeOrphans removes all.
func (s *socket) removeOrphans(protocol uint8) error {
	ids, err := s.orphans(protocol, nil)
	for _, id := range ids {
		err = errors.Join(err, s.removeOrphan(id))
	}
	return err
}

func (s *socket) removeOrphan(id uint32) error {
	err := s.ask(deleteNexthop(id), func(uint16, []byte) {})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// orphans looks at all routes of all tables: other programs, and other drivers
// of ours, may use what we made.
func (s *socket) orphans(protocol uint8, leaving func(table uint32, protocol uint8) bool) ([]uint32, error) {
	all, err := s.dumpObjects()
	if err != nil {
		return nil, err
	}
	used, err := s.usedObjects(leaving)
	if err != nil {
		return nil, err
	}
	var groups, singles []uint32
	for id, n := range all {
		switch {
		case used[id] || !n.isOurs(protocol):
			for _, m := range n.members {
				used[m.id] = true
			}
		case n.members != nil:
			groups = append(groups, id)
		default:
			singles = append(singles, id)
		}
	}
	singles = slices.DeleteFunc(singles, func(id uint32) bool { return used[id] })
	slices.Sort(groups)
	slices.Sort(singles)
	return append(groups, singles...), nil
}

// usedObjects are those that routes of any table point at.
func (s *socket) usedObjects(leaving func(table uint32, protocol uint8) bool) (map[uint32]bool, error) {
	used := map[uint32]bool{}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		err := s.dump(dumpAllRoutes(family), unix.RTM_NEWROUTE, func() {}, func(payload []byte) error {
			table, _, ok := routeKey(payload)
			if ok && (leaving == nil || !leaving(table, payload[5])) { // rtm_protocol
				noteObject(payload, used)
			}
			return nil
		})
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return nil, err
		}
	}
	return used, nil
}

// noteObject notes the nexthop object that a route points at.
func noteObject(payload []byte, used map[uint32]bool) {
	for kind, value := range attributes(payload[unix.SizeofRtMsg:]) {
		if kind == rtaNHID {
			used[number(value)] = true
		}
	}
}

// tidy removes orphans when there may be some: at the first chance, those of
// an earlier life, and those that the plan left.
func (d *Driver) tidy(ctx context.Context, p *plan) {
	due := p.left || !d.tidied && d.hasSpare(p.look)
	d.tidied = true
	if !due {
		return
	}
	if err := d.requests.during(ctx, func() error { return d.requests.removeOrphans(d.cfg.Protocol) }); err != nil {
		d.log.Warn("removing unused nexthop objects failed; they do no harm", "err", err)
	}
	d.kept = nil
}

// hasSpare reports whether there are groups of ours that no cohort holds, or
// singles that are in no group.
func (d *Driver) hasSpare(l *look) bool {
	held := map[uint32]bool{}
	for _, h := range l.holds {
		held[h.group] = true
		for _, m := range l.objects[h.group].members {
			held[m.id] = true
		}
	}
	for id, n := range l.objects {
		if n.isOurs(d.cfg.Protocol) && !held[id] {
			return true
		}
	}
	return false
}
