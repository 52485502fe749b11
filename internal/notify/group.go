package notify

import (
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

const (
	// maxEvents is how many events of a message are told in full; the others are counted.
	maxEvents = 100
	// maxTold bounds what is remembered of what was told.
	maxTold = 16384
)

// A key is what an event and that which ends it have in common.
type key struct{ kind, server, vip, router, cause string }

func keyOf(event api.Event) key {
	k := key{kind: event.Kind, server: event.Server, vip: event.VIP, router: event.Router, cause: event.Cause}
	if event.Kind == api.AssignmentEvent || event.Kind == api.RouteEvent {
		k.cause = "" // each move ends the one before, whatever brought it about
	}
	return k
}

// A group gathers events for one message. It is used by one goroutine.
type group struct {
	config topology.Notifier
	host   string
	told   map[key]string // the severity of what was told and has not ended
	sent   Message        // the last message

	events []Told // the first of those that wait, up to maxEvents
	tally  tally
	worst  string
	first  time.Time // when the first of them came
	last   uint64    // the sequence number of the last of them
}

func newGroup(config topology.Notifier, host string) group {
	return group{config: config, host: host, told: map[key]string{}}
}

// add adds an event, if it is to be told. One that is less grave than what was told of
// the same, and no warning or not to be told by itself, ends that.
func (g *group) add(event api.Event, now time.Time) {
	k := keyOf(event)
	was, known := g.told[k]
	wanted := api.AtLeast(event.Severity, g.config.On.Severity)
	ends := g.config.On.Resolved && known && !api.AtLeast(event.Severity, was) &&
		(!wanted || !api.AtLeast(event.Severity, api.WarningSeverity))
	switch {
	case ends:
		delete(g.told, k)
	case !wanted:
		return
	default:
		was = event.Severity
		if len(g.told) < maxTold {
			g.told[k] = was
		}
	}
	if g.tally.total == 0 {
		g.first = now
	}
	told := Told{Event: event, Resolved: ends, Was: was}
	if len(g.events) < maxEvents {
		g.events = append(g.events, told)
	}
	g.tally.add(told)
	if !ends && (g.worst == "" || api.AtLeast(was, g.worst)) {
		g.worst = was
	}
	g.last = event.Seq
}

// due says when a message of what waits is due, if anything does. After a message that
// was less urgent, what is critical does not wait for the interval.
func (g *group) due() (time.Time, bool) {
	if g.tally.total == 0 {
		return time.Time{}, false
	}
	due := g.first.Add(g.config.GroupWait)
	urgent := g.worst == api.CriticalSeverity && g.sent.Severity != api.CriticalSeverity
	if next := g.sent.Time.Add(g.config.GroupInterval); !urgent && next.After(due) {
		due = next
	}
	return due, true
}

// message makes a message of what waits.
func (g *group) message(now time.Time) Message {
	message := Message{
		Notifier: g.config.Name, Host: g.host, Time: now, Severity: g.worst, Status: Firing,
		Events: g.events, Total: g.tally.total, last: g.last,
	}
	if g.worst == "" { // nothing but ends
		message.Severity, message.Status = api.NoticeSeverity, Resolved
	}
	message.Title, message.Text = g.tally.title(message), g.tally.text()
	g.sent = Message{Time: now, Severity: message.Severity}
	g.events, g.tally, g.worst = nil, tally{}, ""
	return message
}
