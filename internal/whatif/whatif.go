// Package whatif tries what would become of a site: servers are lost and come
// back, are drained and undrained, time passes, and each step is decided by
// package steer, as the controller would decide it.
//
// It decides nothing by itself, and changes nothing: it works on a copy of what a
// controller knows, or on a file alone. The package is pure.
package whatif

import (
	"maps"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/api"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A World is a site at one moment of what is supposed. It is used by one
// goroutine at a time.
type World struct {
	in     steer.Input // Previous is the assignment in force
	health *supposed
	began  time.Time
	moves  int // that were told of
}

// Fresh is the world of a file alone: all servers have been up for long, and
// every VIP is where it belongs. now is when it begins.
func Fresh(site *topology.Site, now time.Time) *World {
	in := steer.Input{Site: site, Cohorts: steer.NewCohorts(site), Health: allWell{now.Add(-2 * 24 * time.Hour)}, Now: now}
	in.Previous = steer.Desired(in)
	return Live(in)
}

// Live is the world as a controller sees it. in.Health must stay as it is.
func Live(in steer.Input) *World {
	w := &World{in: in, health: suppose(in.Health, in.Site), began: in.Now}
	w.in.Health, w.in.Drained = w.health, maps.Clone(in.Drained)
	return w
}

// Simulate does what the request asks for, until it is done or enough says that
// it has taken too long: then losses are left out, and the answer says so. It
// leaves the world as it is after the steps. Errors are *api.Error.
func (w *World) Simulate(request api.SimulateRequest, enough func() bool) (*api.Simulation, error) {
	if err := check(request); err != nil {
		return nil, err
	}
	steps, err := Parse(w.in.Site, request.Steps)
	if err != nil {
		return nil, err
	}
	answer := &api.Simulation{
		File: w.in.Site.File, Time: w.began, Capacity: request.Capacity, VIPs: len(w.in.Site.VIPs),
		Start: w.situation(request.Capacity), Steps: []api.SimulatedStep{}, Losses: []api.Losses{},
	}
	for _, step := range steps {
		answer.Steps = append(answer.Steps, w.take(step, request.Capacity))
	}
	if request.Losses > 0 {
		answer.Losses = w.lose(request.Losses, request.Capacity, enough)
	}
	return answer, nil
}

// check finds fault with what is asked.
func check(request api.SimulateRequest) error {
	switch {
	case request.Losses < 0 || request.Losses > 2:
		return badRequest("losses is %d: want 1 or 2 at once, or 0 for none", request.Losses)
	case request.Capacity < 0:
		return badRequest("capacity is %d: want how many VIPs a server can carry, or 0 for its fair share", request.Capacity)
	case request.LimitMs < 0 || request.LimitMs > maxLimit.Milliseconds():
		return badRequest("limit_ms is %d: want up to %d", request.LimitMs, maxLimit.Milliseconds())
	}
	return nil
}

// How long losses may be tried.
const (
	usualLimit = time.Minute
	maxLimit   = 10 * time.Minute
)

// Limit is how long the request's losses may be tried.
func Limit(request api.SimulateRequest) time.Duration {
	if request.LimitMs == 0 {
		return usualLimit
	}
	return time.Duration(request.LimitMs) * time.Millisecond
}

// take takes one step, and tells what comes of it.
func (w *World) take(step Step, capacity int) api.SimulatedStep {
	told := api.SimulatedStep{Step: step.String(), Moves: []api.SimulatedMove{}, Refused: []string{}}
	before, drained, recalled := w.in.Previous, w.drainedBy(step), w.recalledBy(step)
	if step.Verb == After {
		w.pass(step.For, &told)
	} else {
		w.say(step)
		w.decide(&told, recalled)
		w.settle(&told)
	}
	for _, name := range drained {
		told.Refused = append(told.Refused, Stranded(before, w.in.Previous, name)...)
	}
	told.At = w.in.Now.Sub(w.began).String()
	told.Situation = w.situation(capacity)
	return told
}

// say notes what a step says of its servers.
func (w *World) say(step Step) {
	for _, name := range step.Servers {
		switch step.Verb {
		case Down:
			w.health.say(name, health.Down, w.in.Now)
		case Up:
			w.health.say(name, health.Up, w.in.Now)
		case Drain, Undrain:
			w.setDrained(name, step.Verb == Drain)
		default:
			panic("whatif: no such step about servers: " + string(step.Verb))
		}
	}
}

// decide decides as the controller would, and tells the moves.
func (w *World) decide(told *api.SimulatedStep, recalled []topology.ServerName) {
	in := w.in
	recall(&in, recalled)
	next := steer.Desired(in)
	w.tell(told, w.in.Previous, next)
	w.in.Previous = next
}

// pass lets time pass, and decides whenever something is due.
func (w *World) pass(d time.Duration, told *api.SimulatedStep) {
	end := w.in.Now.Add(d)
	for {
		due := w.in.Previous.NextDue()
		if due.IsZero() || !due.After(w.in.Now) || due.After(end) {
			break
		}
		w.in.Now = due
		w.decide(told, nil)
	}
	w.in.Now = end
	w.settle(told)
}

// settle has every server checked once more. Traffic that stayed where all were
// down is decided by that.
func (w *World) settle(told *api.SimulatedStep) {
	w.health.checked = w.in.Now
	if slices.ContainsFunc(w.in.Cohorts.All(), func(c *steer.Cohort) bool { return w.in.Previous.For(c).Cause == steer.KeptDown }) {
		w.decide(told, nil)
	}
}
