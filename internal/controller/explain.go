package controller

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// lend returns what is known now, for use outside the loop.
func (c *Controller) lend(ctx context.Context) (view, error) {
	var v view
	err := c.do(ctx, func() {
		v = c.view()
		v.board = v.board.Clone()
	})
	return v, err
}

// Explain implements api.Operator.
func (c *Controller) Explain(ctx context.Context, word string) (*api.Explanation, error) {
	v, err := c.lend(ctx)
	if err != nil {
		return nil, err
	}
	entry, err := v.entry(word)
	if err != nil {
		return nil, err
	}
	return v.explain(entry, time.Now()), nil
}

// entry finds the entry of the file that an operator means.
func (v view) entry(word string) (topology.Entry, error) {
	vip, known := v.site.FindVIP(word)
	if !known {
		return topology.Entry{}, v.noVIP(word)
	}
	entries := v.site.Entries()
	return entries[slices.IndexFunc(entries, func(e topology.Entry) bool { return e.VIP.Prefix == vip.Prefix })], nil
}

// noVIP is the error of a word that means no VIP.
func (v view) noVIP(word string) error {
	if _, server := v.site.Server(topology.ServerName(word)); server {
		return &api.Error{Code: api.NotFound, Message: fmt.Sprintf("%s is a server, and not a VIP", word), Hint: fmt.Sprintf("`routesteer status %s` tells about it", word)}
	}
	return unknownVIP(v.site, word)
}

func (v view) explain(entry topology.Entry, now time.Time) *api.Explanation {
	in := v.input(now)
	cohort := v.cohorts.Of(entry.VIP.Prefix)
	want := v.want.For(cohort)
	shown := v.vipStatus(in, entry, cohort, want)
	e := &api.Explanation{
		Time: now, Cause: string(want.Cause), Home: string(cohort.Home()), Failback: failbackText(entry.VIP.Failback), OnAllDown: string(entry.VIP.OnAllDown),
		Frozen: v.want.Frozen(), Next: []api.Expected{}, Servers: []api.Standing{}, Routers: []api.RouterAnswer{},
	}
	owner := steer.Owners(v.site)
	for _, r := range v.site.Routers {
		router := v.routers[r.Name]
		shown.addRoutes(owner, r.Name, router.table.PartsOf(cohort, entry.Prefixes))
		answer := v.routerAnswer(owner, r.Name, cohort, entry, shown.Wanted)
		shown.InSync = shown.InSync && answer.InSync
		e.Routers = append(e.Routers, answer)
	}
	e.VIP = shown.VIP
	e.Servers = v.standings(in, entry, cohort)
	e.Transitions = slices.DeleteFunc(v.transitions(""), func(row api.Transition) bool {
		return row.State != api.Ending || row.VIP != entry.VIP.Prefix.String()
	})
	e.Next = v.expected(e, want)
	return e
}

// failbackText is a failback policy as people say it.
func failbackText(f topology.Failback) string {
	if f.Mode == topology.FailbackAfter {
		return fmt.Sprintf("after %s of continuous health%s", f.After, f.Between.Clause())
	}
	return string(f.Mode)
}

// standings are the VIP's servers, with all that speaks for and against each.
func (v view) standings(in steer.Input, entry topology.Entry, cohort *steer.Cohort) []api.Standing {
	shares := map[topology.ServerName]steer.Share{}
	for _, share := range steer.Shares(in) {
		shares[share.Server] = share
	}
	judge, _ := v.site.VIP(cohort.Judge)
	all := []api.Standing{}
	for _, s := range steer.Explain(in, cohort) {
		server, _ := v.site.Server(s.Server)
		told := api.Standing{
			Server: string(s.Server), Tier: s.Tier, Chosen: s.Chosen, Eligible: s.Eligible, Role: string(s.Role), Why: s.Why, Due: s.Due, Awaited: s.Awaited,
			Weight: cohort.WeightOf(server), VIPs: shares[s.Server].VIPs, Fair: shares[s.Server].Fair, Admin: v.adminFor(s.Server, entry.VIP.Prefix, in.Now),
			Target: v.targetStatus(v.judge(&topology.Judge{VIP: judge, VIPs: 1}), health.Target{Server: s.Server, VIP: cohort.Judge}),
		}
		all = append(all, told)
	}
	return all
}

// adminFor is what is said of a server, or of it and the VIP alone.
func (v view) adminFor(name topology.ServerName, vip netip.Prefix, now time.Time) api.Admin {
	if off, is := v.intent.Off[vip][name]; is {
		return adminOf(off)
	}
	return v.admin(name, now)
}

// routerAnswer is what a router does with the VIP, and what is wrong with that.
func (v view) routerAnswer(owner map[netip.Addr]topology.ServerName, name topology.RouterName, cohort *steer.Cohort, entry topology.Entry, wanted []string) api.RouterAnswer {
	router := v.routers[name]
	one := vipStatus{api.VIP{Wanted: wanted, Routes: []api.Route{}, InSync: true}}
	one.addRoutes(owner, name, router.table.PartsOf(cohort, entry.Prefixes))
	answer := api.RouterAnswer{Router: string(name), Routes: one.Routes}
	answer.InSync = router.table != nil && one.InSync && router.hasShown(v.want.For(cohort)) && router.last.info.Down == nil
	switch problem := router.obstacle(entry.Prefixes); {
	case problem != "":
		answer.Problem = problem
	case answer.InSync:
	case router.last.err != nil:
		answer.Problem = message(router.last.err)
	case router.last.info.Down != nil:
		answer.Problem = message(router.last.info.Down)
	case router.table == nil:
		answer.Problem = "its routes have not been read yet"
	default:
		answer.Problem = "it does not yet do as wanted"
	}
	return answer
}

// obstacle is what somebody else does to prefixes, which are sorted, on the router;
// "" for nothing that is known.
func (r router) obstacle(prefixes []netip.Prefix) string {
	among := func(p netip.Prefix) bool {
		_, found := slices.BinarySearchFunc(prefixes, p, steer.ComparePrefix)
		return found
	}
	if slices.ContainsFunc(r.last.fought, among) {
		return fightText
	}
	for _, route := range r.last.left.Foreign {
		if among(route.Prefix) {
			return foreignText(route)
		}
	}
	return ""
}

// expected is what is to come: by itself, in the order of time, and then what
// waits for somebody.
func (v view) expected(e *api.Explanation, want steer.Want) []api.Expected {
	all := []api.Expected{}
	for _, s := range e.Servers {
		if what, at := outlook(e, s); what != "" {
			all = append(all, api.Expected{At: at, What: what})
		}
	}
	if known := slices.ContainsFunc(all, func(x api.Expected) bool { return x.At.Equal(want.Next) }); !want.Next.IsZero() && !known {
		all = append(all, api.Expected{At: want.Next, What: "it is decided anew: " + want.Reason()})
	}
	slices.SortStableFunc(all, func(a, b api.Expected) int {
		switch {
		case a.At.IsZero() != b.At.IsZero() && a.At.IsZero():
			return 1
		case a.At.IsZero() != b.At.IsZero():
			return -1
		default:
			return a.At.Compare(b.At)
		}
	})
	return all
}

// outlook is what a server may bring, and when, if that is known.
func outlook(e *api.Explanation, s api.Standing) (what string, at time.Time) {
	rather := s.Server == e.Home || before(e, s)
	switch steer.Role(s.Role) {
	case steer.RoleReturning:
		return fmt.Sprintf("its traffic returns to %s, if that stays healthy", s.Server), s.Due
	case steer.RoleByHand:
		return fmt.Sprintf("its traffic returns to %s when an operator asks for it: routesteer failback %s", s.Server, e.VIP.Prefix), time.Time{}
	case steer.RoleDown:
		if rather && !s.Target.UpAt.IsZero() {
			then := "failback: " + e.Failback
			if s.Awaited {
				then = "its traffic returns, as an operator asked"
			}
			return fmt.Sprintf("%s is up again at the earliest, if its checks pass from now on; then %s", s.Server, then), s.Target.UpAt
		}
	case steer.RoleOut:
		if rather {
			return fmt.Sprintf("its traffic returns to %s when that is in service again, and well", s.Server), s.Admin.Until
		}
	}
	return "", time.Time{}
}

// before reports whether the server is of a better tier than those that have the
// traffic.
func before(e *api.Explanation, s api.Standing) bool {
	for _, tier := range e.VIP.Tiers {
		if slices.ContainsFunc(tier.Servers, func(name string) bool { return slices.Contains(e.VIP.Wanted, name) }) {
			return false
		}
		if tier.Name == s.Tier {
			return true
		}
	}
	return false
}
