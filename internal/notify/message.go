package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/routesteer/routesteer/api"
)

// A Message is what is told at once. It is the JSON that programs and webhooks get.
type Message struct {
	Notifier string    `json:"notifier"`
	Host     string    `json:"host,omitempty"` // the machine that the controller runs on
	Time     time.Time `json:"time"`
	Status   string    `json:"status"`   // Firing, or Resolved when all that it tells are ends
	Severity string    `json:"severity"` // the worst of its events, but for those that are ends
	Title    string    `json:"title"`    // one line
	Text     string    `json:"text"`     // a line for each kind of change, like ones together
	Total    int       `json:"total"`    // how many events there are
	Events   []Told    `json:"events"`   // at most 100 of them, oldest first
	Test     bool      `json:"test,omitempty"`

	last uint64 // the sequence number of its last event
}

// What a Message tells.
const (
	Firing   = "firing"
	Resolved = "resolved"
)

// Told is an event in a message.
type Told struct {
	api.Event
	Resolved bool   `json:"resolved,omitempty"` // it ends what was told before
	Was      string `json:"was,omitempty"`      // the severity of that, or its own
}

// Test returns a message that says that it is none.
func Test(name, host string, now time.Time) Message {
	event := api.Event{Time: now, Severity: api.NoticeSeverity, Kind: api.ControllerEvent, Cause: "test", To: "test", Reason: "this is a test of the notifier " + name + "; nothing has happened"}
	told := Told{Event: event, Was: event.Severity}
	var all tally
	all.add(told)
	m := Message{
		Notifier: name, Host: host, Time: now, Status: Firing, Severity: event.Severity,
		Total: 1, Events: []Told{told}, Test: true,
	}
	m.Title, m.Text = "[test] routesteer"+on(host)+": a test of the notifier "+name, all.text()
	return m
}

func on(host string) string {
	if host == "" {
		return ""
	}
	return " on " + host
}

// maxSubjects is how many servers, VIPs and routers a line names; maxLines how many
// lines there are.
const (
	maxSubjects = 8
	maxLines    = 20
)

// A tally puts like events together, so that whatever happens is a text that people
// can read.
type tally struct {
	total int
	lines []*tallyLine
	more  int // events that are in no line
}

// A tallyLine is events that are alike but for what they are about.
type tallyLine struct {
	first    Told
	count    int
	subjects []string
}

func (t *tally) add(told Told) {
	t.total++
	for _, line := range t.lines {
		if line.first.isLike(told) {
			line.add(told)
			return
		}
	}
	if len(t.lines) == maxLines {
		t.more++
		return
	}
	line := &tallyLine{first: told}
	line.add(told)
	t.lines = append(t.lines, line)
}

func (l *tallyLine) add(told Told) {
	l.count++
	if subject := told.subject(); len(l.subjects) <= maxSubjects && subject != "" && !slices.Contains(l.subjects, subject) {
		l.subjects = append(l.subjects, subject)
	}
}

// isLike reports whether two events are the same change of different things.
func (t Told) isLike(other Told) bool {
	alike := t.Kind == other.Kind && t.Severity == other.Severity && t.Cause == other.Cause && t.Resolved == other.Resolved
	if t.isMove() {
		return alike
	}
	return alike && t.From == other.From && t.To == other.To
}

// isMove reports whether From and To are servers.
func (t Told) isMove() bool {
	return t.Kind == api.AssignmentEvent || t.Kind == api.RouteEvent || t.Kind == api.TransitionEvent
}

// subject names what the event is about.
func (t Told) subject() string {
	vip := t.VIP
	if t.VIPs > 1 {
		vip = fmt.Sprintf("%s and %d more", t.VIP, t.VIPs-1)
	}
	return strings.Join(slices.DeleteFunc([]string{t.Router, t.Server, vip}, func(s string) bool { return s == "" }), " ")
}

// text is a line for each kind of change, the gravest first.
func (t *tally) text() string {
	lines := slices.Clone(t.lines)
	slices.SortStableFunc(lines, func(a, b *tallyLine) int { return b.gravity() - a.gravity() })
	var texts []string
	for _, line := range lines {
		texts = append(texts, line.String())
	}
	if t.more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more: `routesteer events` has all", t.more))
	}
	return strings.Join(texts, "\n")
}

// gravity orders lines: what ended comes last.
func (l *tallyLine) gravity() int {
	if l.first.Resolved {
		return -1
	}
	return slices.Index(api.Severities(), l.first.Severity)
}

// String is the line as people read it: "warning: verdict: web1 203.0.113.32/27 up -> down:
// connection refused".
func (l *tallyLine) String() string {
	label := l.first.Severity
	if l.first.Resolved {
		label = Resolved
	}
	text := label + ": " + l.first.Kind
	if l.count > 1 {
		text += fmt.Sprintf(" of %d: ", l.count) + strings.Join(l.subjects[:min(len(l.subjects), maxSubjects)], ", ")
		if len(l.subjects) > maxSubjects {
			text += ", …"
		}
	} else if len(l.subjects) > 0 {
		text += ": " + l.subjects[0]
	}
	if change := l.change(); change != "" {
		text += " " + change
	}
	if l.first.By != "" {
		text += " by " + l.first.By
	}
	if l.first.Reason != "" {
		text += ": " + l.first.Reason
	}
	return oneLine(text)
}

// change says from what to what; of several moves that is not the same for all.
func (l *tallyLine) change() string {
	first := change(l.first.Event)
	if first != "" && l.count > 1 && l.first.isMove() {
		return "(the first " + first + ")"
	}
	return first
}

func change(event api.Event) string {
	switch {
	case event.From == "" && event.To == "":
		return ""
	case event.From == event.To:
		return "at " + event.To
	case event.From == "":
		return "-> " + event.To
	case event.To == "":
		return event.From + " -> nothing"
	default:
		return event.From + " -> " + event.To
	}
}

// maxTitle bounds a title, which becomes the subject of a mail.
const maxTitle = 200

// title is the gravest line, and how many more events there are.
func (t *tally) title(m Message) string {
	grave := slices.MaxFunc(t.lines, func(a, b *tallyLine) int { return a.gravity() - b.gravity() })
	label := strings.ToUpper(m.Severity)
	if m.Status == Resolved {
		label = "resolved"
	}
	text := strings.TrimPrefix(strings.TrimPrefix(grave.String(), grave.first.Severity+": "), Resolved+": ")
	more := ""
	if rest := t.total - grave.count; rest > 0 {
		more = fmt.Sprintf(" (and %d more events)", rest)
	}
	return fmt.Sprintf("[%s] routesteer%s: %s%s", label, on(m.Host), cut(text, maxTitle), more)
}

func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// oneLine replaces what is no part of a line of text.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return '\ufffd'
		}
		return r
	}, text)
}
