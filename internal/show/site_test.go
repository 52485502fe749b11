package show

import (
	"time"

	"github.com/routesteer/routesteer/api"
)

// now is when all fixed answers of these tests were made.
var now = time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

const day = 24 * time.Hour

// wellSite is a site of two servers, two VIPs and one router where nothing is
// amiss.
func wellSite() *api.Status {
	return &api.Status{
		Version: "v1.2.3", Time: now, Started: before(9 * day),
		Config: api.Config{File: "site.yaml", Loaded: before(9 * day)},
		Servers: []api.Server{
			server("web1", "203.0.113.32/27"),
			server("web2", "203.0.113.64/27"),
		},
		VIPs: []api.VIP{
			vip("203.0.113.32/27", "shop", "web1"),
			vip("203.0.113.64/27", "", "web2"),
		},
		Routers: []api.Router{{Name: "edge", Driver: "linux", InSync: true, LastLook: now, LastChange: before(9 * day), Routes: 2}},
	}
}

func server(name, serving string) api.Server {
	s := api.Server{
		Name: name, Addresses: []string{"192.0.2.11"}, Weight: 1, Health: "up", Since: before(2*day + 4*time.Hour),
		Echo: "answers", Admin: api.Admin{State: "ready"}, Serving: []string{serving},
	}
	for _, prefix := range []string{"203.0.113.32/27", "203.0.113.64/27"} {
		s.Targets = append(s.Targets, api.Target{
			VIP: prefix, Check: "web", Health: "up", Since: s.Since, LastCheck: before(time.Second), TookMs: 1.25, Rise: 2,
		})
	}
	return s
}

func vip(prefix, name, on string) api.VIP {
	return api.VIP{
		Prefix: prefix, Name: name, Addresses: []string{"203.0.113.33"}, Check: "web", Mode: "single",
		Tiers:  []api.Tier{{Name: "primary", Servers: []string{"web1"}}, {Name: "backup", Servers: []string{"web2"}}},
		Wanted: []string{on}, Why: on + " is primary", Since: before(2*day + 4*time.Hour),
		Eligible: []string{"web1", "web2"}, InSync: true,
		Routes: []api.Route{{Router: "edge", Servers: []string{on}, NextHops: []string{"192.0.2.11"}, Detail: "proto 82 dev lan0"}},
	}
}

// drainedSite is one where an operator took web1 out.
func drainedSite() *api.Status {
	s := wellSite()
	s.Servers[0].Admin = api.Admin{State: "drain", By: "anna", Reason: "kernel update", Since: before(5 * time.Minute)}
	s.Servers[0].Serving = nil
	s.Servers[1].Serving = []string{"203.0.113.32/27", "203.0.113.64/27"}
	s.VIPs[0].Wanted, s.VIPs[0].Why, s.VIPs[0].Since = []string{"web2"}, "web1 is drained: moved to web2 (backup)", before(5*time.Minute)
	s.VIPs[0].Routes[0].Servers, s.VIPs[0].Eligible = []string{"web2"}, []string{"web2"}
	s.VIPs[1].Eligible = []string{"web2"}
	return s
}

// badSite is one where much is amiss at once.
func badSite() *api.Status {
	s := wellSite()
	down := &s.Servers[1]
	down.Health, down.Since, down.Why, down.Serving = "down", before(72*time.Second), "connection refused \x1b[2J", nil
	for i := range down.Targets {
		down.Targets[i].Rise, down.Targets[i].Damping, down.Targets[i].UpAt = 16, 8, now.Add(4*time.Second)
		down.Targets[i].Health, down.Targets[i].Why, down.Targets[i].Since = "down", "connection refused", down.Since
	}
	s.Servers[0].Health, s.Servers[0].Echo = "mixed", "filtered"
	s.Servers[0].Targets[0].Health, s.Servers[0].Targets[0].Why = "down", "status 503, want 200-399"
	s.Servers[0].Targets[1].Trend = "falling 2/3"
	s.VIPs[0].Eligible, s.VIPs[0].Why = nil, "nobody is eligible: kept"
	s.VIPs[1].Wanted, s.VIPs[1].Eligible, s.VIPs[1].InSync = []string{"web1"}, []string{"web1"}, false
	s.VIPs[1].Why, s.VIPs[1].Since, s.VIPs[1].Next = "web2 is down: moved to web1 (backup)", before(70*time.Second), now.Add(20*time.Second)
	s.VIPs[1].Routes = append(s.VIPs[1].Routes, api.Route{Router: "core", NextHops: []string{"192.0.2.99"}, Foreign: true, Detail: "static"})
	s.Routers = append(s.Routers, api.Router{Name: "core", Driver: "cisco", LastLook: before(3 * time.Minute), LastChange: before(3 * time.Hour),
		Routes: 1, Repairs: 4, Error: "dial 192.0.2.1:22: i/o timeout", Retry: now.Add(8 * time.Second), Foreign: []string{"203.0.113.64/27"}},
		api.Router{Name: "rim", Driver: "linux", LastLook: now, LastChange: before(time.Minute), Routes: 2, Repairs: 9,
			Fighting: []string{"203.0.113.32/27", "203.0.113.64/27", "203.0.113.96/27", "203.0.113.128/27"}})
	s.Frozen = "moves for failures are frozen: 2 of 2 servers are unavailable, max_unavailable is 50%"
	s.Config.Failed, s.Config.Problems = before(time.Hour), []string{`site.yaml:3:5: unknown server "wbe1", did you mean web1?`}
	s.Warnings = []string{"web1 does not answer echo while its checks pass"}
	return s
}

// newSite is one whose controller has just started.
func newSite() *api.Status {
	s := wellSite()
	for i := range s.Servers {
		s.Servers[i].Health, s.Servers[i].Since, s.Servers[i].Serving = "unknown", time.Time{}, nil
		for j := range s.Servers[i].Targets {
			s.Servers[i].Targets[j] = api.Target{VIP: s.Servers[i].Targets[j].VIP, Check: "web", Health: "unknown"}
		}
	}
	for i := range s.VIPs {
		s.VIPs[i].Wanted, s.VIPs[i].Eligible, s.VIPs[i].Why, s.VIPs[i].Routes, s.VIPs[i].Since = nil, nil, "", nil, time.Time{}
	}
	s.Routers = []api.Router{{Name: "edge", Driver: "linux"}}
	return s
}

// willedSite is one where operators and the file have asked for much.
func willedSite() *api.Status {
	s := drainedSite()
	s.Servers[0].Admin.Until, s.Servers[0].Admin.Reboot = time.Time{}, "awaited"
	s.Servers[1].Admin = api.Admin{State: "maintenance", By: "site.yaml", Until: now.Add(40 * time.Minute)}
	s.VIPs[0].Pin = &api.Pin{Server: "web2", By: "anna", Since: before(time.Hour), Until: now.Add(2 * time.Hour), Void: "web2 is down: connection refused"}
	s.VIPs = append(s.VIPs, vip("203.0.113.96/27", "", "web2"))
	s.VIPs[2].Why, s.VIPs[2].Pin = "pinned to web2", &api.Pin{Server: "web2", By: "anna", Since: before(time.Hour)}
	s.VIPs[1].Off = []api.Off{{Server: "web1", Admin: api.Admin{State: "drain", By: "bob", Since: before(day), Reason: "slow disk"}}}
	s.VIPs[1].Why, s.VIPs[1].Held = "web2 is down: timeout, but no witness (192.0.2.1) was heard since: this controller may be cut off", true
	return s
}

// wishes are the first words for every kind of wish.
func wishes(style Style) string {
	text := ""
	for _, m := range []api.Moved{
		{Did: "drain", Servers: []string{"web1", "web2", "web3"}},
		{Did: "drain", Servers: []string{"web1"}, Of: []string{"shop"}},
		{Did: "undrain", Servers: []string{"web1"}, Of: []string{"shop", "mail"}},
		{Did: "pin", Servers: []string{"web2"}, Of: []string{"203.0.113.32/27"}},
		{Did: "unpin", Of: []string{"203.0.113.32/27"}},
		{Did: "failback"},
		{Did: "failback", Of: []string{"web1"}},
		{Did: "resume"},
	} {
		m.Confirmed = true
		text += Moved(&m, style)
	}
	return text
}

func moved() *api.Moved {
	return &api.Moved{
		Did: "drain", Servers: []string{"web1"}, Confirmed: true,
		VIPs: []api.Move{
			{VIP: "203.0.113.32/27", Name: "shop", From: []string{"web1"}, To: []string{"web3"}, Reason: "web1 is drained"},
			{VIP: "203.0.113.128/27", From: []string{"web2"}, To: []string{"web2"}},
			{VIP: "203.0.113.160/27", From: []string{"web1"}, To: nil, Reason: "nobody is eligible"},
		},
		Routers: []api.Router{{Name: "core", InSync: true}, {Name: "edge", InSync: true}},
	}
}
