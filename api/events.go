package api

import (
	"slices"
	"strings"
	"time"
)

// An Event is one change of mind: what changed, when, by whom and why.
type Event struct {
	Seq      uint64    `json:"seq"` // increases by one, also across restarts, as long as the file of events is kept
	Time     time.Time `json:"time"`
	Severity string    `json:"severity"` // "info", "notice", "warning" or "critical"
	Kind     string    `json:"kind"`     // one of EventKinds
	Server   string    `json:"server,omitempty"`
	VIP      string    `json:"vip,omitempty"`  // the first, if several
	VIPs     int       `json:"vips,omitempty"` // how many, if several
	Router   string    `json:"router,omitempty"`
	From     string    `json:"from,omitempty"` // of an assignment, a route or a transition: servers, with commas between
	To       string    `json:"to,omitempty"`
	By       string    `json:"by,omitempty"`
	Cause    string    `json:"cause,omitempty"` // the kind of Reason: of an assignment or a route as in Explanation, or "repair"; of a guard which one, of a session its peer
	Reason   string    `json:"reason,omitempty"`
	TookMs   float64   `json:"took_ms,omitempty"`   // how long it took, where that means something
	LastedMs int64     `json:"lasted_ms,omitempty"` // how long From had lasted, where that is known
}

// Kinds of events.
const (
	ControllerEvent = "controller" // it runs, or stops, or misses something
	ConfigEvent     = "config"     // a file was loaded or refused
	AdminEvent      = "admin"      // the word of an operator, or of the file, or its end
	VerdictEvent    = "verdict"    // checks have changed their mind
	AgentEvent      = "agent"      // a server asks something for itself
	EchoEvent       = "echo"       // a server's address is lost, or answers again
	GuardEvent      = "guard"      // failures may not move traffic, or may again
	AssignmentEvent = "assignment" // traffic is wanted elsewhere, or nowhere
	RouteEvent      = "route"      // a router's routes were changed
	RouterEvent     = "router"     // a router is in or out of sync
	SessionEvent    = "session"    // a connection through which a router is steered
	TransitionEvent = "transition" // connections begin to end, or have
)

// EventKinds are the kinds of events.
func EventKinds() []string {
	return []string{
		ControllerEvent, ConfigEvent, AdminEvent, VerdictEvent, AgentEvent, EchoEvent, GuardEvent,
		AssignmentEvent, RouteEvent, RouterEvent, SessionEvent, TransitionEvent,
	}
}

// Severities of events.
const (
	InfoSeverity     = "info"     // it goes as it should
	NoticeSeverity   = "notice"   // somebody may want to know
	WarningSeverity  = "warning"  // something is wrong, and VIPs are served
	CriticalSeverity = "critical" // VIPs are not served, or will not be if anything else happens
)

// Severities are the severities of events, the least first.
func Severities() []string {
	return []string{InfoSeverity, NoticeSeverity, WarningSeverity, CriticalSeverity}
}

// AtLeast reports whether a severity is at least another; of what is no severity
// neither is.
func AtLeast(severity, least string) bool {
	all := Severities()
	at := slices.Index(all, least)
	return at >= 0 && slices.Index(all, severity) >= at
}

// An EventsRequest asks for events. Of the zero EventsRequest these are all that
// are kept. What it names more than once is asked for alternatively: an event of
// any of the Kinds, about any of the Servers.
type EventsRequest struct {
	Since    uint64    // later than this sequence number; one from the future means all
	After    time.Time // later than this
	Servers  []string  // that it is about, or whose traffic comes or goes
	VIPs     []string  // names, prefixes or addresses
	Routers  []string
	Kinds    []string
	Severity string // at least
	Last     int    // of those that are kept, only the last so many; 0 for all
	Follow   bool   // go on with new ones
}

// Admits reports whether the request asks for an event, as far as the site need
// not be known for that: VIPs are not looked at, nor is Since.
func (r EventsRequest) Admits(event Event) bool {
	return event.Time.After(r.After) &&
		(r.Severity == "" || AtLeast(event.Severity, r.Severity)) &&
		among(r.Kinds, event.Kind) && among(r.Routers, event.Router) &&
		(len(r.Servers) == 0 || slices.ContainsFunc(event.servers(), func(name string) bool { return slices.Contains(r.Servers, name) }))
}

func among(words []string, word string) bool { return len(words) == 0 || slices.Contains(words, word) }

// servers are those that an event is about.
func (e Event) servers() []string {
	names := strings.Split(e.Server, ",")
	switch e.Kind {
	case AssignmentEvent, RouteEvent, TransitionEvent:
		names = slices.Concat(names, strings.Split(e.From, ","), strings.Split(e.To, ","))
	}
	return names
}
