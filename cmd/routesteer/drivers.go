package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/bgp"
	"github.com/routesteer/routesteer/drivers/cisco"
	"github.com/routesteer/routesteer/drivers/linux"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// openDriver reaches a router. This is the only list of drivers. What they keep,
// such as transcripts, is in the directory; the host keeps BGP sessions between
// them.
func openDriver(log *slog.Logger, directory string, host *bgp.Host) func(topology.Router, *steer.Cohorts) (drivers.Driver, error) {
	return func(router topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
		log := log.With("router", string(router.Name))
		switch {
		case router.Linux != nil:
			return openLinux(router, cohorts, log)
		case router.Cisco != nil:
			return cisco.Open(router, cohorts.Site(), cisco.Options{Directory: filepath.Join(directory, "routers"), Log: log}), nil
		case router.BGP != nil:
			return openBGP(router, cohorts, host)
		default:
			return nil, fmt.Errorf("router %s has no driver that this program knows", router.Name)
		}
	}
}

func openBGP(router topology.Router, cohorts *steer.Cohorts, host *bgp.Host) (drivers.Driver, error) {
	driver, err := host.Open(router, cohorts.Site().VIPs)
	if err != nil {
		return nil, err
	}
	return driver, nil
}

// openLinux reaches this machine's kernel. The first of the site's Linux
// routers keeps connections for all of them.
func openLinux(router topology.Router, cohorts *steer.Cohorts, log *slog.Logger) (drivers.Driver, error) {
	driver, err := linux.Open(*router.Linux, cohorts.Prefixes(), log)
	if err != nil {
		return nil, err
	}
	site := cohorts.Site()
	first := slices.IndexFunc(site.Routers, func(r topology.Router) bool { return r.Linux != nil })
	if site.Routers[first].Name == router.Name {
		driver.KeepFlows(-1, site.Policy.Drain)
	}
	return driver, nil
}
