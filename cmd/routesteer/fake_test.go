package main

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/control"
	"github.com/routesteer/routesteer/internal/whatif"
	"github.com/routesteer/routesteer/topology"
)

// started is when the fake controller was.
var started = time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)

// A fakeController is an api.Operator of a site with two servers and one VIP.
// Draining web1 works, draining web2 is refused, and what is drained stays so.
type fakeController struct {
	mu      sync.Mutex
	admin   api.Admin     // of web1
	failing bool          // checks fail, reloads are refused, routers do not confirm
	plan    []api.Change  // what is to change
	foreign []string      // routes in the way
	live    chan struct{} // if set, an event for each receive
	cut     []string      // routers that cut connections
	ends    string        // how the transition of a drain ends
	looks   int           // at it
	mute    bool          // status is not told
}

func (f *fakeController) Status(context.Context) (*api.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mute {
		return nil, &api.Error{Code: api.Unavailable, Message: "no status today"}
	}
	return &api.Status{
		Version: "v0", Time: started.Add(5 * time.Minute), Started: started,
		Config: api.Config{File: "site.yaml", Loaded: started, Problems: []string{}},
		Servers: []api.Server{
			{Name: "web1", Addresses: []string{"192.0.2.11"}, Weight: 1, Health: "up", Since: started, Echo: "answers", Admin: f.admin,
				Serving: []string{"203.0.113.32/27"}, Targets: []api.Target{{VIP: "203.0.113.32/27", Check: "web", Health: "up", Since: started}}},
			{Name: "web2", Addresses: []string{"192.0.2.12"}, Weight: 1, Health: "up", Since: started, Echo: "answers", Admin: api.Admin{State: "ready"},
				Serving: []string{}, Targets: []api.Target{{VIP: "203.0.113.32/27", Check: "web", Health: "up", Since: started}}},
		},
		VIPs: []api.VIP{{
			Prefix: "203.0.113.32/27", Name: "shop", Addresses: []string{"203.0.113.33"}, Check: "web", Mode: "single",
			Tiers:  []api.Tier{{Name: "primary", Servers: []string{"web1"}}, {Name: "backup", Servers: []string{"web2"}}},
			Wanted: []string{"web1"}, Why: "web1 is primary", Since: started, Eligible: []string{"web1", "web2"}, InSync: true,
			Routes: []api.Route{{Router: "edge", Servers: []string{"web1"}, NextHops: []string{"192.0.2.11"}}},
		}},
		Routers:  []api.Router{{Name: "edge", Driver: "linux", InSync: true, LastLook: started, Routes: 1, Foreign: []string{}, Fighting: []string{}}},
		Warnings: []string{},
	}, nil
}

func (f *fakeController) Plan(context.Context) (*api.Plan, error) {
	plan := &api.Plan{Changes: []api.Change{}, Foreign: append([]string{}, f.foreign...), Commands: []string{}}
	for _, change := range f.plan {
		plan.Changes = append(plan.Changes, change)
		plan.Commands = append(plan.Commands, "edge: ip route "+change.Op+" "+change.Prefix)
	}
	return plan, nil
}

func (f *fakeController) Drain(_ context.Context, request api.DrainRequest) (*api.Moved, error) {
	return f.move("drain", request.Servers[0], request.Force, api.Admin{State: "drain", By: "anna", Reason: request.Reason, Since: started})
}

func (f *fakeController) Undrain(_ context.Context, request api.UndrainRequest) (*api.Moved, error) {
	return f.move("undrain", request.Servers[0], true, api.Admin{State: "ready"})
}

func (f *fakeController) Pin(_ context.Context, request api.PinRequest) (*api.Moved, error) {
	if request.Server == "web2" && !request.Force {
		return nil, &api.Error{Code: api.Refused, Message: "203.0.113.32/27 is not pinned to web2: web2 is down", Hint: "use --force"}
	}
	until := ""
	if !request.Until.IsZero() {
		until = " until " + request.Until.UTC().Format(time.RFC3339)
	}
	return f.wished(api.Moved{Did: "pin", Of: []string{request.VIP}, Servers: []string{request.Server + until}}), nil
}

func (f *fakeController) Unpin(_ context.Context, request api.UnpinRequest) (*api.Moved, error) {
	moved := f.wished(api.Moved{Did: "unpin", Of: []string{request.VIP}})
	moved.Unchanged = request.VIP != "shop"
	return moved, nil
}

func (f *fakeController) Failback(_ context.Context, request api.FailbackRequest) (*api.Moved, error) {
	return f.wished(api.Moved{Did: "failback", Of: request.Of}), nil
}

func (f *fakeController) Resume(context.Context, api.ResumeRequest) (*api.Moved, error) {
	return f.wished(api.Moved{Did: "resume"}), nil
}

func (f *fakeController) wished(moved api.Moved) *api.Moved {
	moved.VIPs = []api.Move{{VIP: "203.0.113.32/27", From: []string{"web1"}, To: []string{"web2"}}}
	moved.Routers = []api.Router{{Name: "edge", InSync: !f.failing}}
	moved.Confirmed = !f.failing
	return &moved
}

func (f *fakeController) move(did, server string, force bool, admin api.Admin) (*api.Moved, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case server == "web2" && !force:
		return nil, &api.Error{Code: api.Refused, Message: "web2 is not drained: no other server can carry 1 of its VIPs",
			Details: []string{"203.0.113.32/27: web1 is drained"}, Hint: "use --force"}
	case server != "web1" && server != "web2":
		return nil, &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no server %q in site.yaml", server), Hint: "known servers: web1, web2"}
	}
	moved := &api.Moved{Did: did, Servers: []string{server}, Unchanged: admin.State == f.admin.State, Confirmed: !f.failing, Cut: f.cut,
		VIPs:    []api.Move{{VIP: "203.0.113.32/27", From: []string{"web1"}, To: []string{"web2"}, Reason: "web1 is drained"}},
		Routers: []api.Router{{Name: "edge", InSync: !f.failing, Foreign: append([]string{}, f.foreign...)}}}
	if !moved.Unchanged {
		f.admin = admin
	}
	return moved, nil
}

// Transitions tells of a drain of web1 whose last connections end while they
// are asked for: three, then one, then as ends says.
func (f *fakeController) Transitions(_ context.Context, server string) ([]api.Transition, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if server != "" && server != "web1" || f.admin.State != "drain" || len(f.cut) > 0 {
		return nil, nil
	}
	now := time.Now()
	t := api.Transition{Router: "edge", VIP: "203.0.113.32/27", Name: "shop", From: []string{"web1"}, To: []string{"web2"}, Since: now, Until: now.Add(time.Minute), State: api.Ending}
	f.looks++
	left := 4 - 2*f.looks + 1
	if left <= 0 {
		t.State, t.Ended, left = f.ends, now.Add(time.Second), 0
		if f.ends != "idle" {
			left = 1
		}
	}
	if left > 0 {
		t.Left = []api.Left{{Servers: []string{"web1"}, Connections: left}}
	}
	return []api.Transition{t}, nil
}

// Explain tells of the one VIP.
func (f *fakeController) Explain(ctx context.Context, word string) (*api.Explanation, error) {
	status, err := f.Status(ctx)
	if err != nil {
		return nil, err
	}
	vip := status.VIPs[0]
	if word != "shop" && word != vip.Prefix {
		return nil, &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no VIP %q in site.yaml", word), Hint: "did you mean shop?"}
	}
	return &api.Explanation{
		Time: status.Time, VIP: vip, Cause: "settled", Home: "web1", Failback: "after 1m0s of continuous health", OnAllDown: "keep", Next: []api.Expected{},
		Servers: []api.Standing{
			{Server: "web1", Tier: "primary", Chosen: true, Eligible: true, Role: "home", Why: "it belongs there when all are well (primary)",
				Weight: 1, VIPs: 1, Fair: 0.5, Admin: f.admin, Target: status.Servers[0].Targets[0]},
			{Server: "web2", Tier: "backup", Eligible: true, Role: "standby", Why: "backup: web1 of primary can carry it",
				Weight: 1, Fair: 0.5, Admin: api.Admin{State: "ready"}, Target: status.Servers[1].Targets[0]},
		},
		Routers: []api.RouterAnswer{{Router: "edge", InSync: true, Routes: vip.Routes}}, Transitions: []api.Transition{},
	}, nil
}

// Simulate tries it on a site like the one that Status tells of.
func (f *fakeController) Simulate(_ context.Context, request api.SimulateRequest) (*api.Simulation, error) {
	site, err := topology.Parse("site.yaml", []byte(`
servers: {web1: 192.0.2.11, web2: 192.0.2.12}
vips: [{name: shop, prefix: 203.0.113.32/27, primary: web1, backup: web2}]
routers: {edge: {linux: {}}}
`))
	if err != nil {
		return nil, err
	}
	answer, err := whatif.Fresh(site, started).Simulate(request, func() bool { return false })
	if err == nil {
		answer.Live = true
	}
	return answer, err
}

func (f *fakeController) Check(_ context.Context, server string) ([]api.CheckResult, error) {
	results := []api.CheckResult{{Server: "web1", VIP: "203.0.113.32/27", Check: "web", OK: true, TookMs: 1}}
	if server == "" {
		results = append(results, api.CheckResult{Server: "web2", VIP: "203.0.113.32/27", Check: "web", OK: !f.failing, Failure: "connection refused",
			Hint: "it answers at its own address: no loopback alias?"})
	}
	return results, nil
}

func (f *fakeController) Reload(context.Context, api.ReloadRequest) (*api.Reloaded, error) {
	if f.failing {
		return nil, &api.Error{Code: api.BadConfig, Message: "the new configuration is refused, the running one stays",
			Details: []string{"site.yaml:3:5: servers: it is empty"}}
	}
	return &api.Reloaded{File: "site.yaml", Changes: []string{"server web5 added"}}, nil
}

func (f *fakeController) Events(ctx context.Context, request api.EventsRequest) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		events := []api.Event{
			{Seq: 1, Time: started, Severity: "notice", Kind: "controller", To: "running"},
			{Seq: 2, Time: started, Severity: "notice", Kind: "admin", Server: "web1", From: "ready", To: "drain", By: "anna", Reason: "kernel update"},
		}
		for _, event := range events[min(request.Since, 2):] {
			if !yield(event, nil) {
				return
			}
		}
		for request.Follow {
			select {
			case <-f.live:
				if !yield(api.Event{Seq: 3}, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// cmdController is the scripts' command `controller [failing|changes|foreign|timed-out|forced|cutting|mute]`.
func cmdController(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: controller [failing|changes|foreign|timed-out|forced|cutting|mute]")
	}
	fake := &fakeController{admin: api.Admin{State: "ready"}, ends: "idle"}
	for _, arg := range args {
		switch arg {
		case "failing":
			fake.failing = true
		case "mute":
			fake.mute = true
		case "timed-out":
			fake.ends = "timed out"
		case "cutting":
			fake.cut = []string{"edge: no nf_tables"}
		case "forced":
			fake.ends = "forced"
		case "foreign":
			fake.failing, fake.foreign = true, []string{"foreign route 203.0.113.32/27 via 192.0.2.99 (proto static)"}
		case "changes":
			fake.plan = []api.Change{{Router: "edge", Op: "replace", Prefix: "203.0.113.32/27",
				From: []string{"192.0.2.11"}, To: []string{"192.0.2.12"}, Reason: "web1 is down"}}
		default:
			ts.Fatalf("controller %s?", arg)
		}
	}
	listener, err := control.Listen(context.Background(), ts.Getenv(socketVariable), "")
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- control.Serve(ctx, listener, fake, slog.New(slog.DiscardHandler)) }()
	ts.Defer(func() {
		cancel()
		ts.Check(<-served)
	})
}

// cmdLocked is the scripts' command `locked`.
func cmdLocked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: locked")
	}
	lock, err := lockNamespace(ts.Getenv(lockVariable))
	ts.Check(err)
	ts.Defer(func() { ts.Check(lock.Close()) })
}
