package controller

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Status implements api.Operator.
//
// The loop only lends a copy: putting a large site into words takes many times
// longer, and news must not wait for it.
func (c *Controller) Status(ctx context.Context) (*api.Status, error) {
	v, err := c.lend(ctx)
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
		Frozen: v.want.Frozen(),
	}
	checked, serving := map[topology.ServerName][]*judge{}, map[topology.ServerName][]string{}
	for _, j := range v.judges() {
		for _, name := range j.Servers {
			checked[name] = append(checked[name], j)
		}
	}
	owner := steer.Owners(v.site)
	entries := v.site.Entries()
	status.VIPs = slices.Grow(status.VIPs, len(entries))
	for _, entry := range entries {
		cohort := v.cohorts.Of(entry.VIP.Prefix)
		want := v.want.For(cohort)
		shown := v.vipStatus(in, entry, cohort, want)
		for _, r := range v.site.Routers {
			router := v.routers[r.Name]
			shown.addRoutes(owner, r.Name, router.table.PartsOf(cohort, entry.Prefixes))
			shown.InSync = shown.InSync && router.hasShown(want) && router.last.info.Down == nil
		}
		status.VIPs = append(status.VIPs, shown.VIP)
		for _, name := range want.Servers {
			serving[name] = append(serving[name], shown.Prefix)
		}
	}
	for _, server := range v.site.Servers {
		status.Servers = append(status.Servers, v.serverStatus(server, checked[server.Name], serving[server.Name], now))
	}
	status.Transitions = slices.DeleteFunc(v.transitions(""), func(row api.Transition) bool { return row.State != api.Ending })
	status.Warnings = v.warn(in, status)
	return status
}

// A judge is a VIP under which verdicts are kept, with what is the same of all its
// targets.
type judge struct {
	*topology.Judge
	check  topology.Check
	prefix string
}

func (v view) judges() []*judge {
	all := v.site.Judges()
	judges := make([]*judge, len(all))
	for i := range all {
		judges[i] = v.judge(&all[i])
	}
	return judges
}

func (v view) judge(of *topology.Judge) *judge {
	check, _ := v.site.Check(of.VIP.Check)
	return &judge{of, check, of.VIP.Prefix.String()}
}

func (v view) serverStatus(server topology.Server, judges []*judge, serving []string, now time.Time) api.Server {
	s := api.Server{
		Name: string(server.Name), Weight: server.Weight, Echo: string(v.board.Echo(server.Name)),
		Admin: v.admin(server.Name, now), Serving: append([]string{}, serving...), Targets: make([]api.Target, 0, len(judges)),
	}
	for _, address := range server.Addresses {
		s.Addresses = append(s.Addresses, address.String())
	}
	for _, judge := range judges {
		target := health.Target{Server: server.Name, VIP: judge.VIP.Prefix}
		s.Targets = append(s.Targets, v.targetStatus(judge, target))
	}
	s.Health, s.Since, s.Why = summary(s.Targets)
	return s
}

// summary is the health of a server whose VIPs agree, or "mixed".
func summary(targets []api.Target) (verdict string, since time.Time, why string) {
	for i := range targets {
		target := &targets[i] // of which there may be many
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

func (v view) targetStatus(judge *judge, target health.Target) api.Target {
	state := v.board.State(target)
	damping, upAt := v.trust(judge.check, target, state)
	if damping == 1 {
		damping = 0
	}
	return api.Target{
		Damping: damping, UpAt: upAt, Members: v.memberStatus(target),
		Word: wordStatus(state.Word),
		VIP:  judge.prefix, VIPs: several(judge.VIPs), Check: string(judge.VIP.Check), Health: state.Verdict.String(), Trend: state.Trend(),
		Since: state.Since, Why: state.Why, Notice: state.Notice, LastCheck: state.LastCheck, TookMs: milliseconds(state.Took), Rise: state.Rise,
	}
}

// trust says how many times as many passes as usual it takes until a target is
// up, and when it would be at the earliest; of a check of several when so many of
// its members are as it needs.
func (v view) trust(check topology.Check, target health.Target, state health.State) (damping int, upAt time.Time) {
	if check.Group == nil {
		return state.Damping(check), state.UpAt(check)
	}
	var ups []time.Time
	for _, part := range v.board.Parts(target) {
		member, _ := v.site.Check(part.Member)
		state := v.board.State(part)
		damping, ups = max(damping, state.Damping(member)), append(ups, state.UpAt(member))
	}
	slices.SortFunc(ups, time.Time.Compare)
	return damping, ups[check.Group.Needs-1]
}

// memberStatus is nil for a check that is not of several.
func (v view) memberStatus(target health.Target) []api.Member {
	var members []api.Member
	for _, part := range v.board.Parts(target) {
		if part.Member != "" {
			state := v.board.State(part)
			members = append(members, api.Member{
				Check: string(part.Member), Health: state.Verdict.String(), Trend: state.Trend(), Since: state.Since, Why: state.Why,
			})
		}
	}
	return members
}

// wordStatus is nil for a server that asks for nothing.
func wordStatus(word health.Word) *api.Word {
	if word == (health.Word{}) {
		return nil
	}
	shown := api.Word(word)
	return &shown
}

// admin is what an operator says of a server, or the file.
func (v view) admin(name topology.ServerName, now time.Time) api.Admin {
	if drain, drained := v.intent.Drains[name]; drained {
		return adminOf(drain)
	}
	if window, under := steer.Maintained(v.site, now)[name]; under {
		return api.Admin{State: "maintenance", By: v.site.File, Reason: window.Reason, Until: window.Until}
	}
	return api.Admin{State: "ready"}
}

func adminOf(drain state.Drain) api.Admin {
	return api.Admin{State: "drain", By: drain.By, Reason: drain.Reason, Since: drain.Since, Until: drain.Until, Reboot: string(drain.Reboot)}
}

// A vipStatus is a VIP's state in the making.
type vipStatus struct{ api.VIP }

func (v view) vipStatus(in steer.Input, entry topology.Entry, cohort *steer.Cohort, want steer.Want) vipStatus {
	vip := entry.VIP
	shown := vipStatus{api.VIP{
		Prefix: vip.Prefix.String(), Name: vip.Name, Check: string(vip.Check), Mode: string(vip.Mode),
		Wanted: words(want.Servers), Why: want.Reason(), Cause: string(want.Cause), Since: want.Since, Next: want.Next, Held: want.Frozen,
		Eligible: []string{}, Routes: []api.Route{}, InSync: true,
	}}
	if len(entry.Prefixes) > 1 {
		shown.Prefixes = texts(entry.Prefixes)
	}
	if cohort.Prefix != vip.Prefix {
		shown.MovesAs = cohort.Prefix.String()
	}
	if vip.Judge != vip.Prefix {
		shown.JudgedAs = vip.Judge.String()
	}
	shown.Addresses = texts(vip.Addresses)
	shown.Pin, shown.Off = v.pin(in, vip.Prefix, cohort, want), v.offs(vip.Prefix)
	for _, tier := range vip.Tiers {
		shown.Tiers = append(shown.Tiers, api.Tier{Name: tier.Name, Servers: words(tier.Servers)})
		for _, name := range tier.Servers {
			if in.Eligible(name, cohort) {
				shown.Eligible = append(shown.Eligible, string(name))
			}
		}
	}
	return shown
}

// pin is an operator's word of where a VIP is to be; nil without one.
func (v view) pin(in steer.Input, vip netip.Prefix, cohort *steer.Cohort, want steer.Want) *api.Pin {
	pin, pinned := v.intent.Pins[vip]
	if !pinned {
		return nil
	}
	shown := &api.Pin{Server: string(pin.Server), Force: pin.Force, By: pin.By, Reason: pin.Reason, Since: pin.Since, Until: pin.Until}
	if !slices.Equal(want.Servers, []topology.ServerName{pin.Server}) {
		shown.Void = in.Against(pin.Server, cohort)
	}
	return shown
}

// offs are the servers that were drained of one VIP only.
func (v view) offs(vip netip.Prefix) []api.Off {
	var offs []api.Off
	for _, name := range slices.Sorted(maps.Keys(v.intent.Off[vip])) {
		offs = append(offs, api.Off{Server: string(name), Admin: adminOf(v.intent.Off[vip][name])})
	}
	return offs
}

func texts[T fmt.Stringer](values []T) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = value.String()
	}
	return texts
}

// addRoutes adds what a router has for the VIP.
func (s *vipStatus) addRoutes(owner map[netip.Addr]topology.ServerName, router topology.RouterName, parts []steer.Part) {
	if len(parts) == 0 { // not looked at yet
		parts = []steer.Part{{}}
	}
	for _, part := range parts {
		route := routeStatus(owner, router, part)
		if len(parts) > 1 {
			route.Prefixes = len(part.Prefixes)
		}
		s.Routes = append(s.Routes, route)
		asWanted := slices.Equal(route.Servers, s.Wanted) && !route.Foreign && len(route.NextHops) == len(s.Wanted) // no stranger among them
		s.InSync = s.InSync && asWanted
	}
}

// hasShown reports whether the last look at the router is later than what was
// wanted, and done, last: an earlier one that is as wanted now says nothing, for
// the router may be doing what was wanted in between.
func (r router) hasShown(want steer.Want) bool {
	return !r.acted.After(r.looked) && !want.Since.After(r.looked)
}

// routeStatus is the route that gets the packets, which is a foreign one if
// there is any (drivers tell of no other).
func routeStatus(owner map[netip.Addr]topology.ServerName, router topology.RouterName, part steer.Part) api.Route {
	route := steer.Route{}
	switch {
	case part.Foreign != nil:
		route = *part.Foreign
	case part.Ours != nil:
		route = *part.Ours
	}
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
			Name: string(name), Driver: r.worker.router.Driver(), InSync: r.last.err == nil && r.confirmed == v.seq && len(r.last.left.Foreign) == 0 && len(r.last.fought) == 0,
			Looked: !r.looked.IsZero(), LastLook: r.looked, LastChange: r.changed, Changes: r.changes, Repairs: r.repairs,
			Routes: r.table.Ours(), Foreign: []string{}, Fighting: []string{}, Sessions: []api.Session{}, Problems: append([]string{}, r.last.info.Problems...),
			Error: message(r.last.err), Cuts: message(r.cuts), Retry: r.last.retry,
		}
		for _, route := range r.last.left.Foreign {
			s.Foreign = append(s.Foreign, foreignText(route))
		}
		for _, prefix := range r.last.fought {
			s.Fighting = append(s.Fighting, prefix.String())
		}
		for _, session := range r.last.info.Sessions {
			s.Sessions = append(s.Sessions, api.Session(session))
		}
		routers = append(routers, s)
	}
	return routers
}
