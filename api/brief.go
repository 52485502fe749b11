package api

import (
	"slices"
	"time"
)

// Brief returns the status without what changes though nothing happens, and
// without the targets that are as they should be: up, settled, and with nothing
// to notice. It shares with the status what it leaves as it is.
func (s *Status) Brief() *Status {
	short := *s
	short.Servers = slices.Clone(s.Servers)
	for i := range short.Servers {
		short.Servers[i].Targets = notable(short.Servers[i].Targets)
	}
	short.Routers = slices.Clone(s.Routers)
	for i := range short.Routers {
		short.Routers[i].LastLook = time.Time{}
	}
	return &short
}

// notable returns the targets that somebody may want to look at.
func notable(targets []Target) []Target {
	some := []Target{}
	for _, t := range targets {
		if t.Health == "up" && t.Trend == "" && t.Notice == "" && t.Word == nil && t.Damping == 0 {
			continue
		}
		t.LastCheck, t.TookMs = time.Time{}, 0
		some = append(some, t)
	}
	return some
}
