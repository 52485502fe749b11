package controller

import (
	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/steer"
)

// What events go to, where that decides how grave they are.
const (
	toFrozen     = "frozen"
	toHolding    = "holding"
	toSilent     = "silent"
	toRefused    = "refused"
	toOutOfSync  = "out of sync"
	toFighting   = "fighting"
	toInTheWay   = "in the way"
	toImpossible = "impossible"
	toReminder   = "forgotten?"
	toTrouble    = "trouble"
	repaired     = "repair" // the Cause of a route that was put right
)

// severity says how grave an event is.
func severity(event api.Event) string {
	switch event.Kind {
	case api.AssignmentEvent:
		return assignmentSeverity(event)
	case api.VerdictEvent:
		switch {
		case event.To == "down":
			return api.WarningSeverity
		case event.From == "down":
			return api.NoticeSeverity
		}
		return api.InfoSeverity
	case api.EchoEvent:
		if event.To == "lost" {
			return api.WarningSeverity
		}
		return api.InfoSeverity
	case api.GuardEvent:
		if event.To == toFrozen {
			return api.CriticalSeverity
		}
	case api.RouteEvent:
		if event.Cause != repaired {
			return api.InfoSeverity
		}
	case api.TransitionEvent:
		if event.To != toImpossible && event.To != toTrouble {
			return api.InfoSeverity
		}
	}
	switch event.To {
	case toHolding, toSilent, toRefused, toOutOfSync, toFighting, toInTheWay, toImpossible, toReminder, toTrouble:
		return api.WarningSeverity
	}
	return api.NoticeSeverity
}

// assignmentSeverity is that of traffic that is wanted elsewhere.
func assignmentSeverity(event api.Event) string {
	switch steer.Cause(event.Cause) {
	case steer.KeptDown, steer.Withdrawn:
		return api.CriticalSeverity
	case steer.Failover, steer.Frozen, steer.Unproven:
		return api.WarningSeverity
	case steer.Settled, steer.Unclaimed, steer.Waiting:
		if event.From == "" {
			return api.InfoSeverity
		}
	}
	return api.NoticeSeverity
}
