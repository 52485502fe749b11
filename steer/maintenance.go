package steer

import (
	"maps"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A Window is a maintenance that is under way.
type Window struct {
	Until  time.Time
	Zone   *time.Location
	Reason string
}

// Words is what a server in the maintenance is.
func (w Window) Words() string {
	text := "in maintenance until " + w.Until.In(w.Zone).Format("Mon 15:04 MST")
	if w.Reason != "" {
		text += " (" + w.Reason + ")"
	}
	return text
}

// Maintained are the servers that the file takes out of service now.
func Maintained(site *topology.Site, now time.Time) map[topology.ServerName]Window {
	var under map[topology.ServerName]Window
	for _, m := range site.Maintenance {
		until, active := m.Until(now)
		if !active {
			continue
		}
		if under == nil {
			under = map[topology.ServerName]Window{}
		}
		for _, name := range m.Servers {
			if until.After(under[name].Until) {
				under[name] = Window{until, m.At.Zone, m.Reason}
			}
		}
	}
	return under
}

// NextWindow is when a maintenance begins or ends next; zero for never.
func NextWindow(site *topology.Site, now time.Time) time.Time {
	var next time.Time
	for _, m := range site.Maintenance {
		if until, active := m.Until(now); active {
			next = earlier(next, until)
		}
		if begin, comes := m.Next(now); comes {
			next = earlier(next, begin)
		}
	}
	return next
}

// During is the Will with what the file asks for at a time: of what is asked of a
// server, an operator's word comes first.
func (w Will) During(site *topology.Site, now time.Time) Will {
	under := Maintained(site, now)
	if len(under) == 0 {
		return w
	}
	drained := map[topology.ServerName]string{}
	for name, window := range under {
		drained[name] = window.Words()
	}
	maps.Copy(drained, w.Drained)
	w.Drained = drained
	return w
}
