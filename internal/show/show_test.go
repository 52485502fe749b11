package show

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestAnOperatorReads compares with texts in testdata. Read them: they are
// what it is all for.
func TestAnOperatorReads(t *testing.T) {
	style := Style{Zone: time.UTC}
	events := []api.Event{
		{Seq: 7, Time: before(72 * time.Second), Severity: "warning", Kind: "verdict", LastedMs: 93_784_000, Server: "web2", VIP: "203.0.113.64/27", From: "up", To: "down", Reason: "connection refused"},
		{Seq: 8, Time: before(70 * time.Second), Severity: "info", Kind: "route", Router: "edge", VIP: "203.0.113.64/27", From: "web2", To: "web1", Reason: "web2 is down", TookMs: 0.42},
		{Seq: 9, Time: now, Severity: "notice", Kind: "admin", Server: "web1", From: "ready", To: "drain", By: "anna", Reason: "kernel\nupdate"},
		{Seq: 10, Time: now, Severity: "notice", Kind: "controller", To: "stopped"},
		{Seq: 11, Time: now, Severity: "info", Kind: "route", Router: "edge", VIP: "203.0.113.64/27", From: "web2", TookMs: 1500},
		{Seq: 12, Time: now, Severity: "critical", Kind: "assignment", VIP: "203.0.113.32/27", VIPs: 12, From: "web1", To: "web1", Reason: "no server is eligible; left as it is"},
	}
	unconfirmed := moved()
	unconfirmed.Routers[0] = api.Router{Name: "core", Error: "i/o timeout"}
	unconfirmed.Routers[1].InSync, unconfirmed.Confirmed = false, false
	foreign := moved()
	foreign.Confirmed = false
	foreign.Routers[0] = api.Router{Name: "core", Foreign: []string{
		"foreign route 203.0.113.224/27 via 192.0.2.99 (proto static), left alone",
		"foreign route 203.0.113.32/27 via 192.0.2.99 (proto static), left alone",
	}}
	foreign.Routers[1] = api.Router{Name: "edge", Error: "no such device", Foreign: []string{"foreign route 203.0.113.224/27 (proto boot), left alone"}}
	plan := &api.Plan{
		Changes: []api.Change{
			{Router: "edge", Op: "add", Prefix: "203.0.113.32/27", To: []string{"192.0.2.11"}, Reason: "web1 is primary"},
			{Router: "edge", Op: "replace", Prefix: "203.0.113.64/27", From: []string{"192.0.2.12"}, To: []string{"192.0.2.11"}, Reason: "web2 is down"},
			{Router: "edge", Op: "remove", Prefix: "203.0.113.96/27", From: []string{"192.0.2.12"}, Reason: "nobody is up"},
		},
		Commands: []string{"edge: ip route add 203.0.113.32/27 via 192.0.2.11"},
		Foreign:  []string{"edge: 203.0.113.128/27 proto static"},
	}
	lines := func(events []api.Event) string {
		var b strings.Builder
		for _, event := range events {
			b.WriteString(Event(event, style) + "\n")
		}
		return b.String()
	}
	for name, got := range map[string]string{
		"status-well":         Status(wellSite(), style),
		"top-well":            Picture(wellSite(), Top{}, style),
		"top-bad":             Picture(badSite(), Top{}, Style{Zone: time.UTC, Width: 120}),
		"top-drained":         Picture(drainedSite(), Top{}, style),
		"top-filtered":        Picture(badSite(), Top{Filter: "FIGHT"}, style),
		"top-events":          strings.Join(LastEvents(Top{Events: events, Filter: "web2"}, 2, Style{Zone: time.UTC, Width: 60}), "\n") + "\n",
		"status-drained":      Status(drainedSite(), style),
		"status-bad":          Status(badSite(), style),
		"status-new":          Status(newSite(), style),
		"status-colour":       strings.ReplaceAll(Status(badSite(), Style{Zone: time.UTC, Colour: true}), "\x1b", "^["),
		"status-narrow":       Status(badSite(), Style{Zone: time.UTC, Width: 40}),
		"status-80":           Status(badSite(), Style{Zone: time.UTC, Width: 80}),
		"server-bad":          Server(badSite().Servers[1], now, events[:1], style),
		"server-drained":      Server(drainedSite().Servers[0], now, nil, style),
		"vip-bad":             VIP(badSite(), badSite().VIPs[1], events[:2], style),
		"events":              lines(events),
		"moved":               Moved(moved(), style),
		"unconfirmed":         Moved(unconfirmed, style),
		"plan":                Plan(plan, style),
		"unconfirmed-foreign": Moved(foreign, style),
		"plan-empty":          Plan(&api.Plan{}, style),
		"plan-foreign": Plan(&api.Plan{Foreign: plan.Foreign}, style) +
			Plan(&api.Plan{Foreign: []string{"edge: 203.0.113.128/27 proto static", "edge: 203.0.113.160/27 proto static"}}, style),
		"check-one":    Checks(checked(1, 2), style),
		"checks":       Checks(checked(3, 2), style),
		"check-wide":   Checks(checked(100, 100), style),
		"check-outage": Checks(outage(), style),
		"check-well":   Checks(checked(100, 100)[299:], style),
		"reloaded": Reloaded(&api.Reloaded{File: "site.yaml", Changes: []string{"server web5 added", "VIP 203.0.113.32/27: backup changed"}}) +
			Reloaded(&api.Reloaded{File: "site.yaml"}),
		"already": Already(moved(), drainedSite()) + "\n" +
			Already(moved(), nil) + "\n" +
			Already(&api.Moved{Did: "undrain", Servers: []string{"web1"}}, wellSite()) + "\n" +
			Already(&api.Moved{Did: "unpin", Of: []string{"203.0.113.32/27"}}, wellSite()) + "\n",
		"wishes":      wishes(style),
		"status-will": Status(willedSite(), style),
	} {
		t.Run(name, func(t *testing.T) { compare(t, name, got) })
	}
}

// checked is results of servers and VIPs: the second server lacks every VIP but
// the first, and the third is dead; the last VIP is not for the first server.
func checked(servers, vips int) []api.CheckResult {
	var results []api.CheckResult
	for s := range servers {
		for v := range vips {
			r := api.CheckResult{Server: fmt.Sprintf("web%d", s+1), VIP: fmt.Sprintf("203.0.113.%d/32", v+1), Check: "web", OK: true, TookMs: 0.61}
			switch {
			case s == 0 && v == vips-1 && servers > 1:
				continue
			case s == 0 && v == 1, s == 1 && v > 0:
				r.OK, r.Failure, r.Hint = false, "timeout after 500ms (connecting)", "it answers at its own address: no loopback alias?"
			case s == 2:
				r.OK, r.Failure = false, "no route to host"
			}
			results = append(results, r)
		}
	}
	return results
}

// outage is 50 servers and VIPs of which 49 servers are lost, which shows in
// several ways.
func outage() []api.CheckResult {
	results := checked(50, 50)
	for i := range results {
		if results[i].Server != "web50" {
			results[i].OK, results[i].Failure, results[i].Hint = false, "timeout after 500ms (connecting)", ""
			if i%7 == 0 || i%11 == 0 {
				results[i].Failure = fmt.Sprintf("odd %d", i*i%19)
			}
		}
	}
	return results
}

// compare compares got with a file of testdata.
func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestForeignRoutesAreNamedOnce(t *testing.T) {
	router := api.Router{Foreign: []string{"foreign route 203.0.113.32/27 (proto static)"}}
	if got, want := routerWhy(router, now), "1 foreign route in the way: 203.0.113.32/27 (proto static)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAForeignRouteOfAnotherVIPDoesNotUnconfirm(t *testing.T) {
	m := moved()
	m.Routers[0].InSync, m.Routers[0].Foreign = false, []string{"foreign route 203.0.113.224/27"}
	if got := Moved(m, Style{}); !strings.HasSuffix(got, "\nconfirmed by core, edge\n") {
		t.Errorf("got %s", got)
	}
}

func TestAges(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                     "0s",
		999 * time.Millisecond:           "0s",
		5 * time.Second:                  "5s",
		time.Minute:                      "1m",
		3*time.Minute + 12*time.Second:   "3m12s",
		4*time.Hour + 10*time.Minute + 3: "4h10m",
		4*time.Hour + 3*time.Second:      "4h",
		2*day + 4*time.Hour + 59:         "2d4h",
		400 * day:                        "400d",
	} {
		if got := Age(d); got != want {
			t.Errorf("Age(%d): got %s, want %s", d, got, want)
		}
	}
}

func TestColumnsAreThoseOfTheTerminal(t *testing.T) {
	for text, want := range map[string]int{"web1": 4, "größe": 5, "サーバ": 6, "e\u0301": 1, "": 0} {
		if got := columns(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

// Folding loses nothing, and keeps within the terminal all that has a space to
// break at.
func TestTextIsFoldedToTheTerminal(t *testing.T) {
	s := badSite()
	s.Warnings = append(s.Warnings, strings.Repeat("a long tale ", 40)+"and one more")
	words := func(text string) string {
		all := strings.Fields(text)
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for _, colour := range []bool{false, true} {
		whole := Status(s, Style{Colour: colour})
		for width := 20; width <= 400; width++ {
			folded := Status(s, Style{Colour: colour, Width: width})
			if !colour && words(folded) != words(whole) {
				t.Fatalf("at %d columns words are lost:\n%s", width, folded)
			}
			for line := range strings.Lines(folded) {
				line = strings.TrimRight(line, "\n")
				if got := visible(line); got > width && strings.ContainsRune(strings.TrimSpace(line), ' ') {
					t.Fatalf("at %d columns a line has %d: %s", width, got, line)
				}
				if strings.HasSuffix(line, " ") {
					t.Fatalf("at %d columns a line ends in a space: %q", width, line)
				}
			}
		}
	}
}

func TestForeignTextStaysOnItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"as it is ":                      "as it is ",
		"one\ntwo\r\n  three\n":          "one; two; three",
		"these are refused:\n  a\n\n  b": "these are refused: a; b",
		"\n":                             "",
		"bell\a and \x1b[2J":             "bell\ufffd and \ufffd[2J",
		"\u202ereversed\u2028":           "\ufffdreversed\ufffd",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestFewNamesAreGivenAndTheRestCounted(t *testing.T) {
	if got, want := few([]string{"a", "b", "c", "d"}), "a, b, c, d"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := few([]string{"a", "b", "c", "d", "e"}), "a, b, c and 2 more"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNothingIsSaidByColourAlone holds the promise of the package.
func TestNothingIsSaidByColourAlone(t *testing.T) {
	colourful := Status(badSite(), Style{Colour: true, Zone: time.UTC})
	for _, i := range []ink{good, bad, doubtful, faint, bold} {
		colourful = strings.ReplaceAll(colourful, "\x1b["+i.code()+"m", "")
	}
	colourful = strings.ReplaceAll(colourful, "\x1b[0m", "")
	if want := Status(badSite(), Style{Zone: time.UTC}); colourful != want {
		t.Errorf("without its colours:\n%s\nwant:\n%s", colourful, want)
	}
}

// TestStatusShowsSessions holds that a session that is down is seen, with why.
func TestStatusShowsSessions(t *testing.T) {
	now := time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)
	status := &api.Status{Time: now, Routers: []api.Router{
		{Name: "core", Driver: "cisco", Sessions: []api.Session{{Peer: "192.0.2.1", State: "idle", Since: now.Add(-time.Minute), Detail: "Hold Timer Expired"}}},
		{Name: "edge", Driver: "linux"},
	}}
	text := Status(status, Style{})
	if !strings.Contains(text, "SESSION") || !strings.Contains(text, "idle   1m     Hold Timer Expired") {
		t.Errorf("the session is not shown:\n%s", text)
	}
	status.Routers = status.Routers[1:]
	if text := Status(status, Style{}); strings.Contains(text, "SESSION") {
		t.Errorf("a table of no sessions is shown:\n%s", text)
	}
}
