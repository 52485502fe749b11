package controller

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/api"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Status implements api.Operator.
//
// The loop only lends a copy: putting a large site into words takes many times
// longer, and news must not wait for it.
func (c *Controller) Status(ctx context.Context) (*api.Status, error) {
	var v view
	err := c.do(ctx, func() {
		v = c.view()
		v.board = v.board.Clone()
	})
	if err != nil {
		return nil, err
	}
	return v.status(time.Now()), nil
}

func (v view) status(now time.Time) *api.Status {
	in := v.input(now)
	status := &api.Status{
		Version: v.version, Time: now, Started: v.started, Config: v.config,
		Servers: []api.Server{}, VIPs: []api.VIP{}, Routers: v.routerStatus(),
		Frozen: in.Frozen(),
	}
	carried := map[topology.ServerName][]topology.VIP{}
	for _, vip := range v.site.VIPs {
		for _, name := range vip.Servers() {
			carried[name] = append(carried[name], vip)
		}
	}
	for _, server := range v.site.Servers {
		status.Servers = append(status.Servers, v.serverStatus(server, carried[server.Name]))
	}
	owner := steer.Owners(v.site)
	routes := v.routesByVIP()
	for _, vip := range v.site.VIPs {
		status.VIPs = append(status.VIPs, v.vipStatus(in, vip, func(r topology.RouterName) api.Route {
			return routeStatus(owner, r, routes[routeKey{r, vip.Prefix.String()}])
		}))
	}
	status.Transitions = slices.DeleteFunc(v.transitions(""), func(row api.Transition) bool { return row.State != api.Ending })
	status.Warnings = v.warn(status)
	return status
}

func (v view) serverStatus(server topology.Server, vips []topology.VIP) api.Server {
	s := api.Server{
		Name: string(server.Name), Weight: server.Weight, Echo: string(v.board.Echo(server.Name)),
		Admin: v.admin(server.Name), Serving: []string{}, Targets: []api.Target{},
	}
	for _, address := range server.Addresses {
		s.Addresses = append(s.Addresses, address.String())
	}
	for _, vip := range vips {
		state := v.board.State(health.Target{Server: server.Name, VIP: vip.Prefix})
		s.Targets = append(s.Targets, targetStatus(vip, state))
		if slices.Contains(v.want[vip.Prefix].Servers, server.Name) {
			s.Serving = append(s.Serving, vip.Prefix.String())
		}
	}
	s.Health, s.Since, s.Why = summary(s.Targets)
	return s
}

// summary is the health of a server whose VIPs agree, or "mixed".
func summary(targets []api.Target) (verdict string, since time.Time, why string) {
	for i, target := range targets {
		if i == 0 {
			verdict, since = target.Health, target.Since
		}
		if target.Health != verdict {
			verdict = "mixed"
		}
		if target.Since.After(since) {
			since = target.Since
		}
		if why == "" {
			why = target.Why
		}
	}
	if verdict == "" {
		verdict = health.Unknown.String()
	}
	return verdict, since, why
}

func targetStatus(vip topology.VIP, state health.State) api.Target {
	return api.Target{
		VIP: vip.Prefix.String(), Check: string(vip.Check), Health: state.Verdict.String(), Trend: state.Trend(),
		Since: state.Since, Why: state.Why, LastCheck: state.LastCheck, TookMs: milliseconds(state.Took), Rise: state.Rise,
	}
}

func (v view) admin(name topology.ServerName) api.Admin {
	drain, drained := v.intent.Drains[name]
	if !drained {
		return api.Admin{State: "ready"}
	}
	return api.Admin{State: "drain", By: drain.By, Reason: drain.Reason, Since: drain.Since}
}

func (v view) vipStatus(in steer.Input, vip topology.VIP, routeOn func(topology.RouterName) api.Route) api.VIP {
	want := v.want[vip.Prefix]
	shown := api.VIP{
		Prefix: vip.Prefix.String(), Name: vip.Name, Check: string(vip.Check), Mode: string(vip.Mode),
		Wanted: words(want.Servers), Why: want.Why, Since: want.Since, Next: want.Next,
		Eligible: []string{}, Routes: []api.Route{}, InSync: true,
	}
	for _, address := range vip.Addresses {
		shown.Addresses = append(shown.Addresses, address.String())
	}
	for _, tier := range vip.Tiers {
		shown.Tiers = append(shown.Tiers, api.Tier{Name: tier.Name, Servers: words(tier.Servers)})
		for _, name := range tier.Servers {
			if in.Eligible(name, vip) {
				shown.Eligible = append(shown.Eligible, string(name))
			}
		}
	}
	for _, r := range v.site.Routers {
		route := routeOn(r.Name)
		shown.Routes = append(shown.Routes, route)
		asWanted := slices.Equal(route.Servers, shown.Wanted) && !route.Foreign && (len(route.NextHops) > 0) == (len(shown.Wanted) > 0)
		shown.InSync = shown.InSync && asWanted
	}
	return shown
}

type routeKey struct {
	router topology.RouterName
	prefix string
}

// routesByVIP finds each router's route for each VIP: the one that gets the
// packets, which is a foreign one if there is any (drivers tell of no other).
func (v view) routesByVIP() map[routeKey]steer.Route {
	routes := map[routeKey]steer.Route{}
	for name, r := range v.routers {
		for _, route := range r.routes {
			key := routeKey{name, route.Prefix.String()}
			if former, seen := routes[key]; !seen || !former.Foreign && route.Foreign {
				routes[key] = route
			}
		}
	}
	return routes
}

func routeStatus(owner map[netip.Addr]topology.ServerName, router topology.RouterName, route steer.Route) api.Route {
	return api.Route{
		Router: string(router), Servers: words(steer.ServersOf(owner, route.NextHops)), NextHops: addresses(route.NextHops),
		Foreign: route.Foreign, Detail: route.Detail,
	}
}

// routerStatus is every router's state, by name.
func (v view) routerStatus() []api.Router {
	routers := []api.Router{}
	for _, name := range slices.Sorted(maps.Keys(v.routers)) {
		r := v.routers[name]
		s := api.Router{
			Name: string(name), Driver: driverName(r.worker.router), InSync: r.last.err == nil && r.confirmed == v.seq && len(r.last.left.Foreign) == 0,
			LastLook: r.looked, LastChange: r.changed, Changes: r.changes, Repairs: r.repairs,
			Foreign: []string{}, Error: message(r.last.err), Cuts: message(r.cuts), Retry: r.last.retry,
		}
		for _, route := range r.routes {
			if !route.Foreign {
				s.Routes++
			}
		}
		for _, route := range r.last.left.Foreign {
			s.Foreign = append(s.Foreign, foreignText(route))
		}
		routers = append(routers, s)
	}
	return routers
}

func driverName(router topology.Router) string {
	switch {
	case router.Linux != nil:
		return "linux"
	default:
		panic("controller: router without a driver: " + string(router.Name))
	}
}

// warn lists what an operator should look at, most urgent first.
func (v view) warn(status *api.Status) []string {
	warnings := []string{}
	add := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if status.Frozen != "" {
		add("%s", status.Frozen)
	}
	for i, vip := range v.site.VIPs {
		want := v.want[vip.Prefix]
		if len(status.VIPs[i].Eligible) == 0 && want.Cause != steer.Unclaimed {
			add("%s has no eligible server: %s", vip.Prefix, want.Why)
		}
	}
	for _, router := range status.Routers {
		if router.Error != "" {
			add("router %s is out of sync: %s", router.Name, router.Error)
		}
		if router.Cuts != "" {
			add("router %s: planned moves cut connections: %s", router.Name, router.Cuts)
		}
		for _, foreign := range router.Foreign {
			add("router %s: %s", router.Name, foreign)
		}
	}
	for _, server := range status.Servers {
		warnings = append(warnings, serverWarnings(server)...)
	}
	if !status.Config.Failed.IsZero() {
		add("the last reload was refused: %s", status.Config.Problems[0])
	}
	return append(warnings, v.warnings...)
}

func serverWarnings(server api.Server) []string {
	var warnings []string
	for _, target := range server.Targets {
		if target.Health == health.Down.String() && server.Health == "mixed" {
			warnings = append(warnings, fmt.Sprintf("%s cannot carry %s: %s", server.Name, target.VIP, target.Why))
		}
		if target.Trend != "" && target.Health == health.Up.String() {
			warnings = append(warnings, fmt.Sprintf("%s is %s for %s: %s", server.Name, target.Trend, target.VIP, target.Why))
		}
	}
	if server.Health == health.Down.String() {
		warnings = append(warnings, fmt.Sprintf("%s is down: %s", server.Name, server.Why))
	}
	if server.Echo == string(health.EchoFiltered) {
		warnings = append(warnings, fmt.Sprintf("%s does not answer echo although its checks pass: is ICMP filtered?", server.Name))
	}
	return warnings
}
