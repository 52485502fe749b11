package controller

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/api"
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
	checked, serving := map[topology.ServerName][]topology.Judge{}, map[topology.ServerName][]string{}
	for _, judge := range v.site.Judges() {
		for _, name := range judge.Servers {
			checked[name] = append(checked[name], judge)
		}
	}
	owner := steer.Owners(v.site)
	for _, entry := range v.site.Entries() {
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

func (v view) serverStatus(server topology.Server, judges []topology.Judge, serving []string, now time.Time) api.Server {
	s := api.Server{
		Name: string(server.Name), Weight: server.Weight, Echo: string(v.board.Echo(server.Name)),
		Admin: v.admin(server.Name, now), Serving: append([]string{}, serving...), Targets: []api.Target{},
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

func (v view) targetStatus(judge topology.Judge, target health.Target) api.Target {
	state := v.board.State(target)
	damping, upAt := v.trust(judge, target)
	if damping == 1 {
		damping = 0
	}
	return api.Target{
		Damping: damping, UpAt: upAt, Members: v.memberStatus(target),
		Word: wordStatus(state.Word),
		VIP:  judge.VIP.Prefix.String(), VIPs: several(judge.VIPs), Check: string(judge.VIP.Check), Health: state.Verdict.String(), Trend: state.Trend(),
		Since: state.Since, Why: state.Why, Notice: state.Notice, LastCheck: state.LastCheck, TookMs: milliseconds(state.Took), Rise: state.Rise,
	}
}

// trust says how many times as many passes as usual it takes until a target is
// up, and when it would be at the earliest; of a check of several when so many of
// its members are as it needs.
func (v view) trust(judge topology.Judge, target health.Target) (damping int, upAt time.Time) {
	check, _ := v.site.Check(judge.VIP.Check)
	if check.Group == nil {
		state := v.board.State(target)
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
		Wanted: words(want.Servers), Why: want.Reason(), Since: want.Since, Next: want.Next, Held: want.Frozen,
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
			LastLook: r.looked, LastChange: r.changed, Changes: r.changes, Repairs: r.repairs,
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

// warn lists what an operator should look at, most urgent first.
func (v view) warn(in steer.Input, status *api.Status) []string {
	warnings := []string{}
	add := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if status.Frozen != "" {
		add("%s", status.Frozen)
	}
	for _, entry := range v.site.Entries() {
		cohort := v.cohorts.Of(entry.VIP.Prefix)
		want := v.want.For(cohort)
		if want.Cause != steer.Unclaimed && !slices.ContainsFunc(cohort.Servers(), func(name topology.ServerName) bool { return in.Eligible(name, cohort) }) {
			add("%s has no eligible server: %s", label(entry), want.Why)
		} else if want.Frozen && status.Frozen == "" {
			add("%s is left where it is: %s", label(entry), want.Why)
		}
	}
	if words := v.deaf(in); words != "" {
		add("%s", words)
	}
	warnings = append(warnings, v.willWarnings(status)...)
	for _, router := range status.Routers {
		if router.Error != "" {
			add("router %s is out of sync: %s", router.Name, router.Error)
		}
		if n := len(router.Fighting); n > 0 {
			add("router %s fights with another program for %s%s: %s", router.Name, router.Fighting[0], andMore(n-1), fightText)
		}
		if router.Cuts != "" {
			add("router %s: planned moves cut connections: %s", router.Name, router.Cuts)
		}
		for _, problem := range router.Problems {
			add("router %s: %s", router.Name, problem)
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

// deafAfter is how long no witness is heard before that is a warning.
const deafAfter = 5 * time.Second

// deaf says that no witness is heard, before one is needed.
func (v view) deaf(in steer.Input) string {
	witnesses := v.site.Policy.Witness
	if len(witnesses) == 0 || in.Now.Sub(later(in.Witness.Heard, v.config.Loaded)) < deafAfter {
		return ""
	}
	return fmt.Sprintf("no witness (%s) is heard: until one is, failures move nothing", strings.Join(texts(witnesses), ", "))
}

// willWarnings reminds of what operators may have forgotten, and of pins that do not hold.
func (v view) willWarnings(status *api.Status) []string {
	var warnings []string
	for _, vip := range status.VIPs {
		switch {
		case vip.Pin == nil:
		case vip.Pin.Void != "":
			warnings = append(warnings, fmt.Sprintf("%s is pinned to %s, but %s", vip.Prefix, vip.Pin.Server, vip.Pin.Void))
		case vip.Pin.Force && !slices.Contains(vip.Eligible, vip.Pin.Server):
			warnings = append(warnings, fmt.Sprintf("%s is pinned by force to %s, which cannot carry it: %s", vip.Prefix, vip.Pin.Server, vip.Why))
		}
		for _, off := range vip.Off {
			warnings = append(warnings, v.remind(off.Server+" of "+vip.Prefix, off.Admin, status.Time)...)
		}
	}
	for _, server := range status.Servers {
		warnings = append(warnings, v.remind(server.Name, server.Admin, status.Time)...)
	}
	return append(warnings, v.forgotten()...)
}

// forgotten tells of drains and pins that ask for nothing, because the file has no such
// server or VIP any more.
func (v view) forgotten() []string {
	var warnings []string
	add := func(what, command string) {
		warnings = append(warnings, fmt.Sprintf("%s, which %s does not know: `routesteer %s` forgets it", what, v.site.File, command))
	}
	for _, name := range slices.Sorted(maps.Keys(v.intent.Drains)) {
		if _, known := v.site.Server(name); !known {
			add(fmt.Sprintf("%s is drained", name), fmt.Sprintf("undrain %s", name))
		}
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(v.intent.Off), steer.ComparePrefix) {
		vip, known := v.site.VIP(prefix)
		for _, name := range slices.Sorted(maps.Keys(v.intent.Off[prefix])) {
			if !known || vip.Entry != prefix || !slices.Contains(vip.Servers(), name) {
				add(fmt.Sprintf("%s is drained of %s", name, prefix), fmt.Sprintf("undrain %s --vip %s", name, prefix))
			}
		}
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(v.intent.Pins), steer.ComparePrefix) {
		if vip, known := v.site.VIP(prefix); !known || vip.Entry != prefix {
			add(fmt.Sprintf("%s is pinned", prefix), fmt.Sprintf("unpin %s", prefix))
		}
	}
	return warnings
}

// remind is a warning of a drain that is old and does not end by itself.
func (v view) remind(what string, admin api.Admin, now time.Time) []string {
	limit := v.site.Policy.DrainReminder
	if admin.State != "drain" || limit == 0 || !admin.Until.IsZero() || now.Sub(admin.Since) < limit {
		return nil
	}
	by := ""
	if admin.By != "" {
		by = " by " + admin.By
	}
	return []string{fmt.Sprintf("%s has been drained%s for %s: is it forgotten?", what, by, now.Sub(admin.Since).Round(time.Minute))}
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// unfit says which VIPs a server cannot carry, those that fail alike together.
func unfit(server api.Server) []string {
	var whys []string
	vips := map[string][]string{}
	for _, target := range server.Targets {
		if target.Health != health.Down.String() {
			continue
		}
		if vips[target.Why] == nil {
			whys = append(whys, target.Why)
		}
		vips[target.Why] = append(vips[target.Why], target.VIP)
	}
	for i, why := range whys {
		whys[i] = fmt.Sprintf("%s cannot carry %s%s: %s", server.Name, vips[why][0], andMore(len(vips[why])-1), why)
	}
	return whys
}

// notices are what checks noticed that passed, each once.
func notices(server api.Server) []string {
	var all []string
	for _, target := range server.Targets {
		text := server.Name + ": " + target.Notice
		if target.Notice != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

func serverWarnings(server api.Server) []string {
	var warnings []string
	if server.Health == "mixed" {
		warnings = unfit(server)
	}
	for _, target := range server.Targets {
		if target.Trend != "" && target.Health == health.Up.String() {
			warnings = append(warnings, fmt.Sprintf("%s is %s for %s: %s", server.Name, target.Trend, target.VIP, target.Why))
		}
	}
	warnings = append(warnings, notices(server)...)
	if server.Health == health.Down.String() {
		warnings = append(warnings, fmt.Sprintf("%s is down: %s", server.Name, server.Why))
	}
	if server.Echo == string(health.EchoFiltered) {
		warnings = append(warnings, fmt.Sprintf("%s does not answer echo although its checks pass: is ICMP filtered?", server.Name))
	}
	return warnings
}
