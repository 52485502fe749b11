package lab

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReportProvesItself(t *testing.T) {
	t.Parallel()
	var progress bytes.Buffer
	rows, err := Report(t.Context(), ReportOptions{
		Lab:    Options{Base: shortDir(t), Profile: Fast},
		Faults: []string{"none", "crash"},
		Watch:  2200 * time.Millisecond,
		Load:   lightLoad(),
	}, &progress)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + progress.String())
	if got := rows[0]; got.Requests == 0 || got.PacketsSent == 0 || !got.TooBusy() && got.FailedRequests+got.PacketsLost > 0 {
		t.Errorf("without a fault: %s, want no loss", got)
	}
	if got := rows[1]; got.Recovered || got.OutageMs < 2000 || got.PacketsLost == 0 {
		t.Errorf("crash without a controller: %s, want an outage that does not end", got)
	}
}

func TestStoriesNeedTwoOfEach(t *testing.T) {
	one := steered(Options{Base: shortDir(t), Servers: 1})
	if _, err := Report(t.Context(), ReportOptions{Lab: one}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "at least 2") {
		t.Errorf("report of one server: %v, want a refusal that says how many", err)
	}
	if err := Tour(t.Context(), TourOptions{Lab: one}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "at least 2") {
		t.Errorf("tour of one server: %v, want a refusal that says how many", err)
	}
}

func TestReportRefusesWhatItCannotDo(t *testing.T) {
	for fault, want := range map[string]string{"explode": "crash", "drain": "controller"} {
		_, err := Report(t.Context(), ReportOptions{Faults: []string{fault}}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", fault, err, want)
		}
	}
}

func TestReportWithTheRealController(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family Family
		faults []string
	}{
		{IPv4, []string{"crash", "unplug-router", "drain"}},
		{IPv4, []string{"freeze", "remove-vip"}},
		{IPv4, []string{"unplug", "undrain"}},
		{IPv6, []string{"crash", "block"}},
		{IPv6, []string{"drain", "controller-kill"}},
	} {
		t.Run(string(c.family)+"-"+strings.Join(c.faults, "-"), func(t *testing.T) {
			t.Parallel()
			testReport(t, c.family, c.faults)
		})
	}
}

func testReport(t *testing.T, family Family, faults []string) {
	options := ReportOptions{
		Lab:    steered(Options{Base: shortDir(t), Family: family}),
		Faults: faults,
		Watch:  time.Minute,
		Load:   lightLoad(),
	}
	var progress bytes.Buffer
	rows, err := Report(t.Context(), options, &progress)
	t.Log("\n" + progress.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if !row.Recovered {
			t.Errorf("%s: want recovery", row)
		}
		if row.TooBusy() {
			continue // what was lost may be the machine's doing, and so may a move
		}
		if row.FailedElsewhere != 0 {
			t.Errorf("%s: want other VIPs untouched, but %d requests failed", row, row.FailedElsewhere)
		}
		planned := slices.Contains([]string{"drain", "undrain", "remove-vip", "controller-kill"}, row.Fault)
		if planned && (row.FailedRequests > row.CutRequests || row.PacketsLost != 0) {
			t.Errorf("%s: want no loss", row)
		}
		if (row.Fault == "controller-kill" || row.Fault == "remove-vip") && row.RouteChanges != 0 {
			t.Errorf("%s: %d route changes, want none", row, row.RouteChanges)
		}
	}
	var table bytes.Buffer
	if err := WriteTable(&table, rows); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
}

func TestRowHasTheNamesThatWerePromised(t *testing.T) {
	text, err := json.Marshal(Row{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fault", "profile", "repeat", "requests", "failed_requests", "outage_ms",
		"packets_sent", "packets_lost", "detect_ms", "apply_ms", "established", "broken_connections", "last_new_on_old_ms"} {
		if !strings.Contains(string(text), `"`+name+`":`) {
			t.Errorf("%s has no %s", text, name)
		}
	}
}

func TestTableHasMedians(t *testing.T) {
	detect := func(v float64) *float64 { return &v }
	rows := []Row{
		{Fault: "crash", Profile: Fast, OutageMs: 30, DetectMs: detect(3), Recovered: true},
		{Fault: "crash", Profile: Fast, OutageMs: 10, DetectMs: detect(1), Recovered: true},
		{Fault: "crash", Profile: Fast, OutageMs: 20, Recovered: false},
	}
	var b bytes.Buffer
	if err := WriteTable(&b, rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	want := []string{"crash", "fast", "3", ">20", "10", ">30", "0", "0", "0", "0", "0", "0", "2", "-", "-", "0", "0"}
	if got := strings.Fields(lines[1]); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTour(t *testing.T) {
	t.Parallel()
	var story bytes.Buffer
	err := Tour(t.Context(), TourOptions{Lab: steered(Options{Base: shortDir(t)}), Load: lightLoad()}, &story)
	t.Log("\n" + story.String())
	if err != nil && !strings.Contains(story.String(), "this machine is busy") {
		t.Error(err)
	}
}
