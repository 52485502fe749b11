package controller

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// Some words have served their purpose when something has happened: a recall when the
// traffic is back, resume when servers are. They are kept until then, across restarts,
// and no longer, so that they excuse nothing that comes later.

// nextSpent is when a word is given up though nothing happens, or a maintenance is to
// be noted; zero for never.
func (c *Controller) nextSpent(now time.Time) time.Time {
	if !slices.Equal(maintained(c.site, now), c.intent.Maintained) {
		return now
	}
	next := steer.NextWindow(c.site, now)
	for _, r := range c.intent.Recalls {
		next = earlier(next, r.Since.Add(steer.RecallLasts))
	}
	return next
}

// forget takes out of the intent what has served its purpose, and lets traffic return
// to servers whose maintenance is over. It adds what is to be told to events.
func (c *Controller) forget(intent *state.Intent, w *wish, now time.Time, events []api.Event) []api.Event {
	in := c.input(now)
	changed := false
	if len(c.pending) == 0 && !intent.Resumed.IsZero() && in.Recovered() {
		intent.Resumed, changed = time.Time{}, true
	}
	var last []state.Recall
	for _, r := range intent.Recalls {
		fallen := c.fallenSince(r)
		event, over := c.overRecall(in, r)
		changed = changed || over || !slices.Equal(fallen, r.Fallen)
		events = append(events, event...)
		if r.Fallen = fallen; !over {
			last = append(last, r)
		}
	}
	intent.Recalls = last
	for _, name := range c.maintenanceOver(*intent, now) {
		w.recalls = append(w.recalls, state.Recall{Server: name})
	}
	if under := maintained(c.site, now); !slices.Equal(under, intent.Maintained) {
		intent.Maintained, changed = under, true
	}
	if changed && events == nil {
		return []api.Event{}
	}
	return events
}

// overRecall reports whether a recall counts no longer, and what is to be told of it:
// that it was in vain.
func (c *Controller) overRecall(in steer.Input, r state.Recall) ([]api.Event, bool) {
	switch {
	case !in.Awaits(steer.Place{Server: r.Server, VIP: r.VIP}, r.Since):
		return nil, true
	case in.Now.Before(r.Since.Add(steer.RecallLasts)):
		return nil, false
	}
	event := api.Event{Kind: "admin", Server: string(r.Server), From: "recalled", To: "ready"}
	if r.VIP.IsValid() {
		event.VIP = r.VIP.String()
	}
	event.Reason = fmt.Sprintf("not all traffic could return within %s: the failback policy decides about the rest", steer.RecallLasts)
	return []api.Event{event}, true
}

// fallenSince are the servers that the recall is of and that fell since, sorted.
func (c *Controller) fallenSince(r state.Recall) []topology.ServerName {
	fallen := slices.Clone(r.Fallen)
	for name, at := range c.fell {
		if at.After(r.Since) && (r.Server == "" || r.Server == name) && !slices.Contains(fallen, name) {
			fallen = append(fallen, name)
		}
	}
	slices.Sort(fallen)
	return fallen
}

// recallsSoFar are the recalls, with who has fallen since.
func (c *Controller) recallsSoFar() []state.Recall {
	recalls := slices.Clone(c.intent.Recalls)
	for i, r := range recalls {
		recalls[i].Fallen = c.fallenSince(r)
	}
	return recalls
}

// inherited are recalls of whoever has not fallen since, for a controller, or checks,
// that have not seen it.
func inherited(recalls []state.Recall, site *topology.Site) []state.Recall {
	var left []state.Recall
	for _, r := range recalls {
		switch {
		case len(r.Fallen) == 0:
			left = append(left, r)
		case r.Server != "": // it has fallen
		default:
			for _, server := range site.Servers {
				if !slices.Contains(r.Fallen, server.Name) {
					left = append(left, state.Recall{Server: server.Name, VIP: r.VIP, Hurry: r.Hurry, Since: r.Since})
				}
			}
		}
	}
	return left
}

// maintained are the servers that the file takes out of service now, sorted.
func maintained(site *topology.Site, now time.Time) []topology.ServerName {
	return slices.Sorted(maps.Keys(steer.Maintained(site, now)))
}

// maintenanceOver are the servers that were in maintenance when the intent was kept,
// and are no longer.
func (c *Controller) maintenanceOver(intent state.Intent, now time.Time) []topology.ServerName {
	under := maintained(c.site, now)
	return slices.DeleteFunc(slices.Clone(intent.Maintained), func(name topology.ServerName) bool { return slices.Contains(under, name) })
}
