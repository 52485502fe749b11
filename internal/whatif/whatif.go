// Package whatif tries what would become of a site: servers are lost and come
// back, are drained and undrained, VIPs are pinned, time passes, and each step is
// decided by package steer, as the controller would decide it.
//
// It decides nothing by itself, and changes nothing: it works on a copy of what a
// controller knows, or on a file alone. The package is pure.
package whatif

import (
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// A World is a site at one moment of what is supposed. It is used by one
// goroutine at a time.
type World struct {
	in     steer.Input // Previous is the assignment in force; Will is asked, and the file's
	asked  steer.Will  // what operators ask for
	health *supposed
	began  time.Time
	ends   []End     // that are to come
	fell   time.Time // when a step last had servers fall; zero for never
	moves  int       // that were told of
}

// Fresh is the world of a file alone: all servers have been up for long, and
// every VIP is where it belongs. now is when it begins.
func Fresh(site *topology.Site, now time.Time) *World {
	w := Live(steer.Input{Site: site, Cohorts: steer.NewCohorts(site), Health: allWell{now.Add(-2 * 24 * time.Hour)}, Now: now})
	w.in.Previous = steer.Desired(w.input())
	return w
}

// Live is the world as a controller sees it. in.Will is what operators ask for,
// until it ends; what the file asks for at the time is added to it. in.Health must
// stay as it is.
func Live(in steer.Input, ends ...End) *World {
	w := &World{in: in, asked: own(in.Will), ends: ends, health: suppose(in.Health, in.Site), began: in.Now}
	w.in.Health = w.health
	w.in.Will = w.asked.During(in.Site, in.Now)
	return w
}

// input is what steer looks at now. Witnesses answer, so that losses are
// believed.
func (w *World) input() steer.Input {
	in := w.in
	in.Will = w.asked.During(in.Site, in.Now)
	in.Witness.Heard = in.Now.Add(time.Nanosecond)
	return in
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
	switch step.Verb {
	case After:
		w.pass(step.For, &told)
	case Down, Up:
		w.flip(step, &told)
	default:
		w.obey(step, &told)
	}
	told.At = w.in.Now.Sub(w.began).String()
	told.Situation = w.situation(capacity)
	return told
}

// flip has servers fall or rise. Servers of one step fall together; those of
// another so much later that nobody takes both for one failure.
func (w *World) flip(step Step, told *api.SimulatedStep) {
	verdict := health.Up
	if step.Verb == Down {
		verdict = health.Down
		w.wait(told)
		w.fell = w.in.Now
	}
	for _, name := range step.Servers {
		w.health.say(name, verdict, w.in.Now)
	}
	w.decide(told)
	w.settle(told)
}

// wait lets time pass until what falls now does not fall together with what fell
// before.
func (w *World) wait(told *api.SimulatedStep) {
	apart := w.fell.Add(w.in.Site.FallPeriod() + time.Millisecond)
	if !w.fell.IsZero() && apart.After(w.in.Now) {
		w.pass(apart.Sub(w.in.Now), told)
	}
}

// obey does what an operator asks for; what is so already changes nothing.
func (w *World) obey(step Step, told *api.SimulatedStep) {
	before := w.in.Previous
	effect := w.ask(step)
	told.Refused = append(told.Refused, effect.refused...)
	if effect.changed {
		w.regroup()
		w.decide(told)
	}
	w.settle(told)
	if step.Verb == Drain {
		told.Refused = append(told.Refused, w.stranded(before, effect.taken)...)
	}
}

// decide decides as the controller would, and tells the moves.
func (w *World) decide(told *api.SimulatedStep) {
	w.recallMaintained()
	in := w.input()
	next := steer.Desired(in)
	w.tell(told, w.in.Previous, next)
	w.in.Will = in.Will
	w.in.Previous = next
	w.forget(in)
}

// forget gives up words that have served their purpose, as the controller does.
func (w *World) forget(in steer.Input) {
	in.Previous = w.in.Previous
	over := func(place steer.Place, at time.Time) bool { return !in.Awaits(place, at) }
	w.asked.Recalled.DeleteFunc(over)
	w.asked.Hurried.DeleteFunc(over)
	if !in.Resumed.IsZero() && in.Recovered() {
		w.asked.Resumed = time.Time{}
	}
}

// recallMaintained lets traffic return to servers whose maintenance is over since
// the last decision.
func (w *World) recallMaintained() {
	now := w.asked.During(w.in.Site, w.in.Now)
	for name := range w.in.Drained {
		if w.asked.Drained[name] == "" && now.Drained[name] == "" {
			w.asked.Recalled.Add(steer.Place{Server: name}, w.in.Now)
		}
	}
}

// pass lets time pass, and decides whenever something is due.
func (w *World) pass(d time.Duration, told *api.SimulatedStep) {
	end := w.in.Now.Add(d)
	for {
		due := w.due()
		if !due.After(w.in.Now) || due.After(end) {
			break
		}
		w.in.Now = due
		w.lapse()
		w.decide(told)
	}
	w.in.Now = end
	w.settle(told)
}

// due is when something must be decided though nothing happens; zero for never.
func (w *World) due() time.Time {
	due := w.in.Previous.NextDue()
	sooner := func(at time.Time) {
		if due.IsZero() || !at.IsZero() && at.Before(due) {
			due = at
		}
	}
	sooner(steer.NextWindow(w.in.Site, w.in.Now))
	for _, end := range w.ends {
		sooner(end.At)
	}
	return due
}

// settle has every server checked once more. Traffic that stayed where all were
// down is decided by that.
func (w *World) settle(told *api.SimulatedStep) {
	w.health.checked = w.in.Now
	if slices.ContainsFunc(w.in.Previous.Awake(), func(c *steer.Cohort) bool { return w.in.Previous.For(c).Cause == steer.KeptDown }) {
		w.decide(told)
	}
}
