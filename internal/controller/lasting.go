package controller

import (
	"time"

	"github.com/routesteer/routesteer/api"
)

// lasting knows since when things are as they are, as far as events have told. It belongs to
// the loop.
type lasting map[lastingKey]time.Time

type lastingKey struct{ kind, server, vip, router, guard string }

// note adds to an event how long what it ends has lasted.
func (l lasting) note(event *api.Event) {
	k := lastingKey{kind: event.Kind, server: event.Server, vip: event.VIP, router: event.Router}
	switch event.Kind {
	case api.GuardEvent, api.SessionEvent:
		k.guard = event.Cause
	case api.VerdictEvent, api.EchoEvent, api.RouterEvent:
	default:
		return
	}
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	if since, known := l[k]; known {
		event.LastedMs = max(0, event.Time.Sub(since).Milliseconds())
	}
	l[k] = event.Time
}
