package steer

import (
	"net/netip"
	"slices"

	"github.com/routesteer/routesteer/topology"
)

// Adopt turns routes as they were found on routers into the Assignment to
// start from, so that a start moves nothing that is well. Each cohort is taken
// from the first router, in the order given, with routes to its servers for
// it, whoever made them: that is where its traffic is. Routes to anything else,
// or to servers that are not the cohort's, claim nothing: other routers would be
// told to do alike. Where its prefixes are with several servers, the cohort is with
// those that have most of them.
func Adopt(cohorts *Cohorts, found ...*Table) Assignment {
	owner := Owners(cohorts.site)
	return Assign(cohorts, func(cohort *Cohort) Want {
		for _, table := range found {
			if want := table.traffic(cohort, owner); len(want.Servers) > 0 {
				return want
			}
		}
		return Want{}
	})
}

// traffic finds where a router sends a cohort; the zero Want for nowhere known.
func (t *Table) traffic(cohort *Cohort, owner map[netip.Addr]topology.ServerName) Want {
	var found poll
	for _, part := range t.Parts(cohort) {
		for _, route := range []*Route{part.Ours, part.Foreign} {
			if route == nil {
				continue
			}
			servers := ServersOf(owner, route.NextHops)
			strange := slices.ContainsFunc(servers, func(name topology.ServerName) bool { return !cohort.has(name) })
			if len(servers) > 0 && len(servers) == len(route.NextHops) && !strange {
				found.vote(Want{Servers: servers, NextHops: route.NextHops, Cause: Settled, Why: "found so"}, len(part.Prefixes))
				break
			}
		}
	}
	return found.winner()
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
