package controller

import (
	"cmp"
	"slices"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
)

// recordSync records a router's coming into and out of step, and that moves wait for
// change_limit, which is a guard's doing and no trouble of the router's.
func (c *Controller) recordSync(name string, was, seen sighting) {
	switch {
	case seen.held != nil && was.held == nil:
		c.record(api.Event{Kind: api.GuardEvent, Cause: "change_limit", Router: name, To: toHolding, Reason: seen.held.Error()})
	case seen.held == nil && was.held != nil:
		c.record(api.Event{Kind: api.GuardEvent, Cause: "change_limit", Router: name, From: toHolding, To: "released", Reason: "no failover waits any more"})
	}
	before, now := trouble(was), trouble(seen)
	if before == now {
		return
	}
	event := api.Event{Kind: api.RouterEvent, Router: name, To: "in sync", Reason: now}
	if now != "" {
		event.To = toOutOfSync
	}
	c.record(event)
}

// trouble is why a router is out of sync, but for moves that wait.
func trouble(seen sighting) string {
	if seen.held != nil {
		return ""
	}
	return message(seen.err)
}

// recordInfo records what changed of a router's sessions, and of what its driver says
// that an operator should look at.
func (c *Controller) recordInfo(name string, was, seen drivers.Info) {
	for _, session := range seen.Sessions {
		c.recordSession(name, was.Sessions, session)
	}
	for _, problem := range seen.Problems {
		if !slices.Contains(was.Problems, problem) {
			c.record(api.Event{Kind: api.RouterEvent, Router: name, Cause: "problem", To: toTrouble, Reason: problem})
		}
	}
	for _, problem := range was.Problems {
		if !slices.Contains(seen.Problems, problem) {
			c.record(api.Event{Kind: api.RouterEvent, Router: name, Cause: "problem", From: toTrouble, To: "gone", Reason: "no longer: " + problem})
		}
	}
}

// recordSession records that a session's state has changed.
func (c *Controller) recordSession(name string, former []drivers.Session, now drivers.Session) {
	var was drivers.Session
	if at := slices.IndexFunc(former, func(s drivers.Session) bool { return s.Peer == now.Peer }); at >= 0 {
		was = former[at]
	}
	if was.State == now.State && was.Well == now.Well {
		return
	}
	event := api.Event{
		Kind: api.SessionEvent, Router: name, Cause: now.Peer, From: was.State, To: now.State,
		Reason: cmp.Or(now.Detail, "with "+now.Peer),
	}
	switch {
	case was.State == "":
		event.Severity = api.InfoSeverity // of a start
	case now.Well:
		event.Severity = api.NoticeSeverity
	case was.Well:
		event.Severity = api.WarningSeverity
	default:
		event.Severity = api.InfoSeverity // on its way
	}
	c.record(event)
}
