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
				want.Failure = slices.ContainsFunc(found, func(other *Table) bool { return other.sendsElsewhere(cohort, owner, want.Servers) })
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
		if servers, hops := part.traffic(cohort, owner); len(servers) > 0 {
			found.vote(Want{Servers: servers, NextHops: hops, Cause: Settled, Why: "found so"}, len(part.Prefixes))
		}
	}
	return found.winner()
}

// sendsElsewhere reports whether a router sends any prefix of a cohort to other servers:
// a move was under way when a controller ended. Whose word that was is not known, so
// that it counts as a failure's, which a change_limit bounds.
func (t *Table) sendsElsewhere(cohort *Cohort, owner map[netip.Addr]topology.ServerName, than []topology.ServerName) bool {
	return slices.ContainsFunc(t.Parts(cohort), func(part Part) bool {
		servers, _ := part.traffic(cohort, owner)
		return len(servers) > 0 && !slices.Equal(servers, than)
	})
}

// traffic finds which of the cohort's servers a part's prefixes are sent to, and by which
// next hops; none if to anybody else.
func (p Part) traffic(cohort *Cohort, owner map[netip.Addr]topology.ServerName) ([]topology.ServerName, []NextHop) {
	for _, route := range []*Route{p.Ours, p.Foreign} {
		if route == nil {
			continue
		}
		servers := ServersOf(owner, route.NextHops)
		strange := slices.ContainsFunc(servers, func(name topology.ServerName) bool { return !cohort.has(name) })
		if len(servers) > 0 && len(servers) == len(route.NextHops) && !strange {
			return servers, route.NextHops
		}
	}
	return nil, nil
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
