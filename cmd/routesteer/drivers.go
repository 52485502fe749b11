package main

import (
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/linux"
	"github.com/routesteer/routesteer/topology"
)

// openDriver reaches a router. This is the only list of drivers.
func openDriver(log *slog.Logger) func(topology.Router, *topology.Site) (drivers.Driver, error) {
	return func(router topology.Router, site *topology.Site) (drivers.Driver, error) {
		log := log.With("router", string(router.Name))
		switch {
		case router.Linux != nil:
			return linux.Open(*router.Linux, prefixes(site), log)
		default:
			return nil, fmt.Errorf("router %s has no driver that this program knows", router.Name)
		}
	}
}

func prefixes(site *topology.Site) []netip.Prefix {
	all := make([]netip.Prefix, len(site.VIPs))
	for i, vip := range site.VIPs {
		all[i] = vip.Prefix
	}
	return all
}
