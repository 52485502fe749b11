package steer

import (
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/topology"
)

// Adopt turns routes as they were found on routers into the Assignment to
// start from, so that a start moves nothing that is well. Each VIP is taken
// from the first router, in the order given, with a route to known servers for
// it, whoever made it: that is where its traffic is. Routes to anything else
// claim nothing.
func Adopt(site *topology.Site, found ...[]Route) Assignment {
	owner := Owners(site)
	adopted := Assignment{}
	for _, routes := range found {
		for _, route := range routes {
			vip, known := site.VIP(route.Prefix)
			if _, done := adopted[route.Prefix]; done || !known {
				continue
			}
			if servers := ServersOf(owner, route.NextHops); len(servers) > 0 && len(servers) == len(route.NextHops) {
				adopted[vip.Prefix] = Want{Servers: servers, NextHops: route.NextHops, Cause: Settled, Why: "found so"}
			}
		}
	}
	return adopted
}

// Owners maps every server address of the site to its server.
func Owners(site *topology.Site) map[netip.Addr]topology.ServerName {
	owner := map[netip.Addr]topology.ServerName{}
	for _, server := range site.Servers {
		for _, address := range server.Addresses {
			owner[address] = server.Name
		}
	}
	return owner
}

// ServersOf returns the known servers among the next hops, sorted, each once.
func ServersOf(owner map[netip.Addr]topology.ServerName, hops []NextHop) []topology.ServerName {
	var servers []topology.ServerName
	for _, hop := range hops {
		if name, known := owner[hop.Address]; known {
			servers = append(servers, name)
		}
	}
	slices.Sort(servers)
	return slices.Compact(servers)
}
