package show

import (
	"strings"

	"github.com/routesteer/routesteer/api"
)

// Event writes one event in one line: time, kind, subject, from -> to, and
// then who, why and how long.
func Event(event api.Event, style Style) string {
	text := style.clock(event.Time) + "  " + pad(event.Kind, len("assignment"))
	for _, part := range []string{subject(event), change(event), background(event)} {
		if part != "" {
			text += "  " + part
		}
	}
	return text
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
		text = strings.TrimPrefix(text+" (took "+milliseconds(event.TookMs)+")", " ")
	}
	return text
}

func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-len(text)))
}
