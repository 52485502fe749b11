package show

import (
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
)

// Columns of an event that most fit into; what is longer moves the rest of its line.
const (
	subjectColumns = 26
	changeColumns  = 15
)

// Event writes one event in one line: time, severity, kind, subject, from -> to, and
// then who, why and how long. Lines are written as events come, so that columns have
// a width of their own.
func Event(event api.Event, style Style) string {
	text := style.clock(event.Time) + "  " + style.severity(event.Severity) + pad(event.Kind, len("assignment"))
	for _, part := range []string{pad(subject(event), subjectColumns), pad(change(event), changeColumns), background(event)} {
		text += "  " + part
	}
	return strings.TrimRight(text, " ")
}

// severity is a column; events of a controller that did not know any have none.
func (s Style) severity(severity string) string {
	if severity == "" {
		return ""
	}
	return s.paint(severityInk(severity), pad(clean(severity), len(api.CriticalSeverity))) + "  "
}

func severityInk(severity string) ink {
	switch severity {
	case api.CriticalSeverity:
		return bad
	case api.WarningSeverity:
		return doubtful
	case api.InfoSeverity:
		return faint
	default:
		return plain
	}
}

// subject names what changed.
func subject(event api.Event) string {
	var names []string
	for _, name := range []string{event.Router, event.Server, several(event.VIP, event.VIPs)} {
		if name != "" {
			names = append(names, name)
		}
	}
	return clean(strings.Join(names, " "))
}

// change says from what to what.
func change(event api.Event) string {
	switch {
	case event.From == "" && event.To == "":
		return ""
	case event.From == "":
		return "-> " + clean(event.To)
	case event.To == "":
		return clean(event.From) + " -> nothing"
	default:
		return clean(event.From) + " -> " + clean(event.To)
	}
}

// background says who, why and how long.
func background(event api.Event) string {
	var parts []string
	if event.By != "" {
		parts = append(parts, "by "+event.By)
	}
	if event.Reason != "" {
		parts = append(parts, event.Reason)
	}
	text := clean(strings.Join(parts, ": "))
	if event.TookMs > 0 {
		text += " (took " + milliseconds(event.TookMs) + ")"
	}
	if event.LastedMs >= 1000 {
		text += " (after " + Age(time.Duration(event.LastedMs)*time.Millisecond) + ")"
	}
	return strings.TrimPrefix(text, " ")
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-columns(text)))
}
