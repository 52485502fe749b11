package controller

import (
	"context"
	"net/netip"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/internal/whatif"
	"github.com/routesteer/routesteer/topology"
)

// Simulate implements api.Operator. It works on a copy, outside the loop, and one
// at a time: it may take a processor for long.
func (c *Controller) Simulate(ctx context.Context, request api.SimulateRequest) (*api.Simulation, error) {
	select {
	case c.trying <- struct{}{}:
		defer func() { <-c.trying }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	results, err := c.proofs(ctx, request)
	if err != nil {
		return nil, err
	}
	v, err := c.lend(ctx)
	if err != nil {
		return nil, err
	}
	for _, result := range results {
		disprove(v.board, result)
	}
	until := time.Now().Add(whatif.Limit(request))
	in := v.input(time.Now())
	in.Will = asked(v.intent)
	answer, err := whatif.Live(in, ends(v.intent)...).Simulate(request, func() bool { return ctx.Err() != nil || time.Now().After(until) })
	if err != nil {
		return nil, err
	}
	answer.Live = true
	return answer, ctx.Err()
}

// ends are when drains and pins end by themselves at a set time.
func ends(intent state.Intent) []whatif.End {
	var all []whatif.End
	add := func(at time.Time, verb whatif.Verb, servers []topology.ServerName, vips ...netip.Prefix) {
		if !at.IsZero() {
			all = append(all, whatif.End{At: at, Step: whatif.Step{Verb: verb, Servers: servers, VIPs: vips}})
		}
	}
	for name, drain := range intent.Drains {
		add(drain.Until, whatif.Undrain, []topology.ServerName{name})
	}
	for vip, servers := range intent.Off {
		for name, drain := range servers {
			add(drain.Until, whatif.Undrain, []topology.ServerName{name}, vip)
		}
	}
	for vip, pin := range intent.Pins {
		add(pin.Until, whatif.Unpin, nil, vip)
	}
	return all
}

// proofs checks what drains and undrains check before they move anything, if the
// request asks for it.
func (c *Controller) proofs(ctx context.Context, request api.SimulateRequest) ([]health.Result, error) {
	if !request.Prove {
		return nil, nil
	}
	next, undrained, err := c.prospect(ctx, request.Steps)
	if err != nil {
		return nil, err
	}
	var targets []health.Target
	var site *topology.Site
	if err := c.do(ctx, func() { targets, site = append(c.standbys(next), c.wellAt(undrained)...), c.site }); err != nil {
		return nil, err
	}
	return checkWholes(ctx, c.prober, site, targets), ctx.Err()
}

// prospect is what the intent would be by the drains of steps, and the servers that
// others put back in service.
func (c *Controller) prospect(ctx context.Context, texts []string) (next prospect, undrained []topology.ServerName, err error) {
	var site *topology.Site
	if err := c.do(ctx, func() { site, next = c.site, prospect{intent: followed(c.intent, c.site), cohorts: c.cohorts} }); err != nil {
		return next, nil, err
	}
	steps, err := whatif.Parse(site, texts)
	for _, step := range steps {
		switch step.Verb {
		case whatif.Drain:
			drain(next.intent, step)
		case whatif.Undrain:
			undrained = append(undrained, step.Servers...)
		}
	}
	next.cohorts = next.cohorts.Divide(asked(next.intent).Apart()...)
	return next, undrained, err
}

// drain adds the drains of a step to the intent.
func drain(intent state.Intent, step whatif.Step) {
	for _, name := range step.Servers {
		if len(step.VIPs) == 0 {
			intent.Drains[name] = state.Drain{}
		}
		for _, vip := range step.VIPs {
			intent.Take(name, vip, state.Drain{})
		}
	}
}
