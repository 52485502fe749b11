package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/routesteer/routesteer/drivers/linux"
)

// nexthopLimit bounds what the kernel may take to list routes.
const nexthopLimit = 30 * time.Second

// nexthops removes our nexthop objects that no route uses, but for routes that
// this sweep has removed or would.
func (s *sweep) nexthops() error {
	ctx, cancel := context.WithTimeout(context.Background(), nexthopLimit)
	defer cancel()
	leaving := func(table uint32, protocol uint8) bool {
		for _, router := range s.Routers {
			if s.Routes && uint32(router.Table) == table && router.Protocol == protocol {
				return true
			}
		}
		return false
	}
	var failed []error
	done := map[uint8]bool{}
	for _, router := range s.Routers {
		if done[router.Protocol] {
			continue
		}
		done[router.Protocol] = true
		orphans, err := linux.Orphans(ctx, router.Protocol, leaving)
		failed = append(failed, err)
		for _, id := range orphans {
			failed = append(failed, s.remove("nexthop", fmt.Sprintf("ip nexthop id %d", id), func() error { return linux.RemoveOrphan(ctx, id) }))
		}
	}
	return errors.Join(failed...)
}
