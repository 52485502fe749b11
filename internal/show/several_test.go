package show

import (
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
)

// TestAServerShowsTheMembersOfItsChecksAndWhatItAsksFor holds that who looks why a
// server is down, or wants to be left, finds it beside the VIP.
func TestAServerShowsTheMembersOfItsChecksAndWhatItAsksFor(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	server := api.Server{Name: "web1", Health: "mixed", Targets: []api.Target{
		{VIP: "203.0.113.32/27", Check: "site", Health: "down", Why: "dns: refused", Word: &api.Word{Leave: true, Text: "kernel"}, Members: []api.Member{
			{Check: "web", Health: "up", Trend: "falling 1/3", Why: "status 503"}, {Check: "dns", Health: "down", Since: now.Add(-time.Minute), Why: "refused"},
		}},
		{VIP: "203.0.113.64/27", Check: "health", Health: "up", Word: &api.Word{Percent: 50}},
	}}
	text := Server(server, now, nil, Style{})
	for _, want := range [][]string{
		{"203.0.113.32/27", "site", "down", "dns: refused; asks to be drained: kernel"},
		{"- web", "up", "falling 1/3", "status 503"},
		{"- dns", "down", "1m", "refused"},
		{"203.0.113.64/27", "health", "up", "asks for 50% of its share"},
	} {
		if !hasLineWith(text, want) {
			t.Errorf("no line with %q in:\n%s", want, text)
		}
	}
}

func hasLineWith(text string, words []string) bool {
	for line := range strings.Lines(text) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}
