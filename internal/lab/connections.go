package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Connections is what became of established connections in a window.
type Connections struct {
	Servers    []ServerConnections // by server of the site: the one that they were opened to
	Talks      int                 // requests on them
	OpenFailed int                 // tries to open one, or to open it again, that failed
	Why        map[Result]int      // what broke them
	// First and Last are when they were found to be broken; zero if none was. An
	// idle connection finds out when it speaks, after at most two seconds.
	First, Last time.Time
}

// ServerConnections is the share of one server.
type ServerConnections struct {
	Established int // at the start of the window
	Opened      int // in the window
	Reopened    int // in the window, in place of broken ones
	Broken      int
	Finished    int // closed by the client, who was told to
}

// A ledger counts the established connections by the server that they were
// opened to, and what the load has opened so far.
type ledger struct {
	servers []int
	opened  int    // connections that were there to be opened, not again
	failure Result // of the last try that failed; OK is none
}

// take enters a sample.
func (l *ledger) take(s Sample) {
	if !s.Kind.kept() {
		return
	}
	if s.Server >= 0 {
		l.servers[s.Server] += s.step()
	}
	switch {
	case s.Kind == Open && s.Result == OK:
		l.opened++
	case s.Kind == Open:
		l.failure = s.Result
	}
}

// connections says what became of the established connections, from samples
// that ended at the start of the window or later and the counts after all of
// them. Those that started after its end are not in it.
func connections(samples []Sample, now []int, end time.Time) Connections {
	c := Connections{Servers: make([]ServerConnections, len(now)), Why: map[Result]int{}}
	for i, n := range now {
		c.Servers[i].Established = n
	}
	for _, s := range samples {
		if !s.Kind.kept() {
			continue
		}
		if s.Server >= 0 {
			c.Servers[s.Server].Established -= s.step()
		}
		if !s.Start.After(end) {
			c.take(s)
		}
	}
	return c
}

// step is by how much a sample changes the number of its server's
// connections.
func (s Sample) step() int {
	switch {
	case s.Kind == Talk && s.Result == OK:
		return 0
	case s.Kind == Talk, s.Kind == Finish:
		return -1
	case s.Result == OK:
		return 1
	default:
		return 0
	}
}

func (c *Connections) take(s Sample) {
	switch {
	case s.Kind == Finish:
		c.Servers[s.Server].Finished++
	case s.Kind == Talk && s.Result == OK:
		c.Talks++
	case s.Kind == Talk:
		c.Talks++
		c.Servers[s.Server].Broken++
		c.Why[s.Result]++
		at := s.End()
		c.First, c.Last = earlier(c.First, at), later(c.Last, at)
	case s.Result == OK && s.Kind == Open:
		c.Servers[s.Server].Opened++
	case s.Result == OK:
		c.Servers[s.Server].Reopened++
	default:
		c.OpenFailed++
	}
}

// Established returns how many there were at the start of the window.
func (c Connections) Established() int {
	return c.sum(func(s ServerConnections) int { return s.Established })
}

// Opened returns how many were opened in the window, but for those in place
// of broken ones.
func (c Connections) Opened() int { return c.sum(func(s ServerConnections) int { return s.Opened }) }

// Broken returns how many broke, over all servers.
func (c Connections) Broken() int {
	return c.sum(func(s ServerConnections) int { return s.Broken })
}

func (c Connections) sum(of func(ServerConnections) int) int {
	n := 0
	for _, s := range c.Servers {
		n += of(s)
	}
	return n
}

// String says what became of them.
func (c Connections) String() string {
	text := fmt.Sprintf("%d of %d established connections broke", c.Broken(), c.Established()+c.Opened())
	if len(c.Why) == 0 {
		return text
	}
	var why []string
	for result, n := range c.Why {
		why = append(why, fmt.Sprintf("%d %s", n, result))
	}
	slices.Sort(why)
	return text + " (" + strings.Join(why, ", ") + ")"
}
