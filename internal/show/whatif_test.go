package show

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
)

// TestAnOperatorReadsWhatMayBecome compares with texts in testdata.
func TestAnOperatorReadsWhatMayBecome(t *testing.T) {
	style := Style{Zone: time.UTC}
	narrow := Style{Zone: time.UTC, Width: 60}
	for name, got := range map[string]string{
		"explain-well":    Explanation(explained(), style),
		"explain-bad":     Explanation(explainedBad(), style),
		"explain-narrow":  Explanation(explainedBad(), narrow),
		"simulate":        Simulation(simulated(), style),
		"simulate-large":  Simulation(simulatedLarge(), style),
		"simulate-losses": Simulation(simulatedLosses(), style),
		"dry-run":         DryRun(simulated(), style),
	} {
		t.Run(name, func(t *testing.T) { compare(t, name, got) })
	}
}

func explained() *api.Explanation {
	s := wellSite()
	return &api.Explanation{
		Time: now, VIP: s.VIPs[0], Cause: "settled", Home: "web1", Failback: "after 1m0s of continuous health", OnAllDown: "keep",
		Servers: []api.Standing{
			{Server: "web1", Tier: "primary", Chosen: true, Eligible: true, Role: "home", Why: "it belongs there when all are well (primary)",
				Weight: 1, VIPs: 1, Fair: 1, Admin: s.Servers[0].Admin, Target: s.Servers[0].Targets[0]},
			{Server: "web2", Tier: "backup", Eligible: true, Role: "standby", Why: "backup: web1 of primary can carry it",
				Weight: 1, VIPs: 1, Fair: 1, Admin: s.Servers[1].Admin, Target: s.Servers[1].Targets[0]},
		},
		Routers: []api.RouterAnswer{{Router: "edge", InSync: true, Routes: s.VIPs[0].Routes}},
	}
}

// explainedBad is of a VIP whose primary is down and has flapped, whose first
// backup is drained, and that a router does not steer.
func explainedBad() *api.Explanation {
	s := badSite()
	e := explained()
	e.VIP = s.VIPs[1]
	e.VIP.Tiers = []api.Tier{{Name: "primary", Servers: []string{"web2"}}, {Name: "backup", Servers: []string{"web1", "web3"}}}
	e.Cause, e.Home, e.Frozen = "failover", "web2", s.Frozen
	down := s.Servers[1].Targets[1]
	down.Rise, down.Trend, down.UpAt, down.Damping = 8, "rising 3/8", now.Add(time.Second), 4
	e.Servers = []api.Standing{
		{Server: "web2", Tier: "primary", Role: "down", Why: "web2 is down: connection refused", Weight: 2, Fair: 0,
			Admin: api.Admin{State: "ready"}, Target: down},
		{Server: "web1", Tier: "backup", Chosen: true, Eligible: true, Role: "chosen", Why: e.VIP.Why, Weight: 1, VIPs: 2.5, Fair: 1.25,
			Admin: api.Admin{State: "ready"}, Target: s.Servers[0].Targets[1]},
		{Server: "web3", Tier: "backup", Role: "drained", Why: "web3 is drained", Weight: 1,
			Admin: api.Admin{State: "drain", By: "anna", Reason: "kernel update", Since: before(5 * time.Minute)}, Target: wellSite().Servers[0].Targets[1]},
	}
	e.Next = []api.Expected{
		{At: now.Add(time.Second), What: "web2 is up again at the earliest, if its checks pass from now on; then failback: after 1m0s of continuous health"},
		{What: "its traffic returns to web3 when that is undrained and well"},
	}
	e.Routers = []api.RouterAnswer{
		{Router: "edge", InSync: true, Routes: e.VIP.Routes[:1]},
		{Router: "core", Routes: e.VIP.Routes[1:], Problem: "foreign route 203.0.113.64/27 (static), left alone; adopt: true would take it over"},
	}
	e.Transitions = []api.Transition{{Router: "edge", VIP: e.VIP.Prefix, From: []string{"web3"}, To: []string{"web1"}, State: api.Ending,
		Left: []api.Left{{Servers: []string{"web3"}, Connections: 12}}, Since: before(5 * time.Minute), Until: now.Add(5 * time.Minute)}}
	return e
}

func simulated() *api.Simulation {
	loads := func(web1, web2 float64, state string) []api.ServerLoad {
		return []api.ServerLoad{
			{Server: "web1", State: state, VIPs: web1, Fair: 1, Most: 2.25},
			{Server: "web2", State: "in service", VIPs: web2, Fair: 1, Most: 2.25, Overloaded: web2 > 2.25},
		}
	}
	return &api.Simulation{
		File: "site.yaml", Live: true, Time: now, VIPs: 4, Start: api.Situation{Load: loads(2, 1.5, "in service")},
		Steps: []api.SimulatedStep{
			{
				Step: "drain web1", At: "0s", Moved: 3, Refused: []string{"203.0.113.96/27: no server is eligible"},
				Moves: []api.SimulatedMove{
					{At: "0s", Move: api.Move{VIP: "203.0.113.32/27", Name: "shop", From: []string{"web1"}, To: []string{"web2"}, Reason: "web1 is drained"}},
					{At: "0s", Move: api.Move{VIP: "203.0.113.64/27", VIPs: 2, From: []string{"web1"}, Reason: "no server is eligible: withdrawn"}},
				},
				Situation: api.Situation{Load: loads(0, 3.5, "drained"), Unserved: []api.Unserved{{VIP: "203.0.113.64/27", VIPs: 2, Why: "no server is eligible: withdrawn"}}},
			},
			{Step: "after 2m0s", At: "2m0s", Moved: 1, Moves: []api.SimulatedMove{
				{At: "1m0s", Move: api.Move{VIP: "203.0.113.32/27", Name: "shop", From: []string{"web2"}, To: []string{"web1"}, Reason: "web1 back in service (primary)"}},
			}, Situation: api.Situation{Load: loads(2, 1.5, "in service"), Frozen: "moves for failures are frozen"}},
		},
	}
}

// simulatedLarge is of 1000 servers, of which one that has 10,000 VIPs is lost.
func simulatedLarge() *api.Simulation {
	s := &api.Simulation{File: "site.yaml", Time: now, VIPs: 20000}
	step := api.SimulatedStep{Step: "down web0", At: "0s", Moved: 10_000}
	for i := range 1000 {
		load := api.ServerLoad{Server: fmt.Sprintf("web%d", i), State: "in service", VIPs: 10, Fair: 10, Most: 13.5}
		if i == 0 {
			load.VIPs = 10_000
		}
		s.Start.Load = append(s.Start.Load, load)
		switch {
		case i == 0:
			load.VIPs, load.State = 0, "out"
		case i < 30:
			load.VIPs, load.Overloaded = float64(100+i), true
		}
		step.Load = append(step.Load, load)
	}
	for i := range 10_000 {
		step.Moves = append(step.Moves, api.SimulatedMove{At: "0s", Move: api.Move{
			VIP: fmt.Sprintf("10.64.%d.%d/32", i>>8, i&255), From: []string{"web0"}, To: []string{fmt.Sprintf("web%d", 1+i%40)}, Reason: "web0 is down"}})
	}
	s.Steps = []api.SimulatedStep{step}
	return s
}

func simulatedLosses() *api.Simulation {
	s := simulated()
	s.Steps, s.Capacity = nil, 3
	one := api.Losses{AtOnce: 1, Possible: 2, Tried: 2, Harmless: 2}
	two := api.Losses{AtOnce: 2, Possible: 499_500, Tried: 1200, Strand: 15, Overload: 1, Harmless: 1184}
	for i := range 15 {
		two.Stranding = append(two.Stranding, api.Loss{Servers: []string{"web1", fmt.Sprintf("web%d", i+2)}, Moved: 9, VIPs: 9 - i/2, Unserved: []string{"203.0.113.32/27", "203.0.113.64/27"}})
	}
	two.Stranding[1].Frozen = "moves for failures are frozen"
	two.Overloading = []api.Loss{{Servers: []string{"web1", "web2"}, Moved: 9, Over: 2, Overloaded: []api.ServerLoad{{Server: "web3", VIPs: 9.5, Fair: 4, Most: 3}}}}
	s.Losses = []api.Losses{one, two}
	return s
}

// TestALargeSimulationIsReadable holds that a site of any size is told on a page
// or two.
func TestALargeSimulationIsReadable(t *testing.T) {
	if n := strings.Count(Simulation(simulatedLarge(), Style{}), "\n"); n > 80 {
		t.Errorf("it has %d lines", n)
	}
}
