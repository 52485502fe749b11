package linux

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// RemoveOrphans removes the nexthop objects of ours, by number range and
// protocol, that no route of any table uses, from the calling thread's network
// namespace, and returns how many. To remove a used one would remove its routes.
// It needs CAP_NET_ADMIN if there is anything to remove.
func RemoveOrphans(ctx context.Context, protocol uint8) (int, error) {
	s, err := openSocket(here)
	if err != nil {
		return 0, fmt.Errorf("remove unused nexthop objects: %w", err)
	}
	var removed int
	err = s.during(ctx, func() (err error) {
		removed, err = s.removeOrphans(protocol)
		return err
	})
	if err = errors.Join(err, s.close()); err != nil {
		return removed, fmt.Errorf("remove unused nexthop objects: %w", err)
	}
	return removed, nil
}

// removeOrphans looks at all routes of all tables: other programs, and other
// drivers of ours, may use what we made.
func (s *socket) removeOrphans(protocol uint8) (removed int, err error) {
	all, err := s.dumpObjects()
	if err != nil {
		return 0, err
	}
	used, err := s.usedObjects()
	if err != nil {
		return 0, err
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
	for _, ids := range [][]uint32{groups, singles} {
		for _, id := range ids {
			if used[id] {
				continue
			}
			err := s.ask(deleteNexthop(id), func(uint16, []byte) {})
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return removed, err
			}
			removed++
		}
	}
	return removed, nil
}

// usedObjects are those that routes of any table point at.
func (s *socket) usedObjects() (map[uint32]bool, error) {
	used := map[uint32]bool{}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		err := s.dump(dumpAllRoutes(family), unix.RTM_NEWROUTE, func() {}, func(payload []byte) error {
			if _, _, ok := routeKey(payload); ok {
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
	if err := d.requests.during(ctx, func() error {
		_, err := d.requests.removeOrphans(d.cfg.Protocol)
		return err
	}); err != nil {
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
