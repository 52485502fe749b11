package notify

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

var update = flag.Bool("update", false, "rewrite the expected texts in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testConfig(severity string) topology.Notifier {
	return topology.Notifier{
		Name: "oncall", On: topology.NotifyOn{Severity: severity, Resolved: true},
		GroupWait: 5 * time.Second, GroupInterval: time.Minute,
	}
}

func falls(server int, at time.Time) api.Event {
	return api.Event{
		Seq: uint64(server), Time: at, Severity: "warning", Kind: "verdict", Server: fmt.Sprint("web", server), VIP: "203.0.113.32/27",
		From: "up", To: "down", Reason: "no reply to 3 echoes",
	}
}

func rises(server int, at time.Time) api.Event {
	event := falls(server, at)
	event.Severity, event.From, event.To, event.Reason = "notice", "down", "up", ""
	return event
}

// outage is what happens when a whole site goes away: 40 servers of 200 VIPs.
func outage() []api.Event {
	var events []api.Event
	for server := 1; server <= 40; server++ {
		events = append(events, falls(server, noon))
	}
	events = append(events, api.Event{Time: noon, Severity: "critical", Kind: "guard", Cause: "frozen", To: "frozen", Reason: "40 of 40 servers were lost within 3s"})
	for vip := range 200 {
		events = append(events, api.Event{
			Time: noon, Severity: "critical", Kind: "assignment", Cause: "kept", VIP: fmt.Sprintf("203.0.113.%d/32", vip), From: "web1", To: "web1",
			Reason: "no server is eligible; left as it is",
		})
	}
	return events
}

func TestASiteWideFailureIsOneMessageThatSaysWhat(t *testing.T) {
	g := newGroup(testConfig("warning"), "edge")
	for _, event := range outage() {
		g.add(event, noon)
	}
	if due, waits := g.due(); !waits || !due.Equal(noon.Add(5*time.Second)) {
		t.Fatalf("due at %s, %v", due, waits)
	}
	m := g.message(noon.Add(5 * time.Second))
	if m.Total != 241 || len(m.Events) != maxEvents || m.Severity != "critical" || m.Status != Firing {
		t.Errorf("got a message of %d events, %d in full, %s, %s", m.Total, len(m.Events), m.Severity, m.Status)
	}
	if _, waits := g.due(); waits {
		t.Error("something is left")
	}
	golden(t, "outage.txt", m.Title+"\n\n"+m.Text+"\n")
}

func TestWhatEndsWhatWasToldIsToldToo(t *testing.T) {
	g := newGroup(testConfig("warning"), "")
	g.add(rises(2, noon), noon) // nobody was told that it was down
	if _, waits := g.due(); waits {
		t.Error("an end of what was not told is told")
	}
	g.add(falls(1, noon), noon)
	g.message(noon)
	g.add(rises(1, noon), noon)
	m := g.message(noon)
	if m.Status != Resolved || m.Total != 1 || !m.Events[0].Resolved || m.Events[0].Was != "warning" {
		t.Errorf("got %+v", m)
	}
	golden(t, "resolved.txt", m.Title+"\n\n"+m.Text+"\n")
}

func TestEndsAreNotToldWhereTheFileSaysSo(t *testing.T) {
	config := testConfig("warning")
	config.On.Resolved = false
	g := newGroup(config, "")
	g.add(falls(1, noon), noon)
	g.message(noon)
	g.add(rises(1, noon), noon)
	if _, waits := g.due(); waits {
		t.Error("an end is told")
	}
}

func TestWhatIsStillAWarningIsNoEnd(t *testing.T) {
	g := newGroup(testConfig("notice"), "")
	kept := api.Event{Time: noon, Severity: "critical", Kind: "assignment", VIP: "203.0.113.32/27", Cause: "kept"}
	moved := kept
	moved.Severity, moved.Cause = "warning", "failover"
	home := kept
	home.Severity, home.Cause = "notice", "failback"
	for _, event := range []api.Event{kept, moved, home} {
		g.add(event, noon)
	}
	var got []bool
	for _, told := range g.message(noon).Events {
		got = append(got, told.Resolved)
	}
	if fmt.Sprint(got) != "[false false true]" {
		t.Errorf("resolved: %v", got)
	}
}

func TestTheNextMessageWaitsUnlessItIsMoreUrgent(t *testing.T) {
	g := newGroup(testConfig("warning"), "")
	g.add(falls(1, noon), noon)
	g.message(noon)
	g.add(falls(2, noon), noon)
	if due, _ := g.due(); !due.Equal(noon.Add(time.Minute)) {
		t.Errorf("a second warning is due at %s, want a minute after the first", due)
	}
	critical := falls(3, noon)
	critical.Severity = "critical"
	g.add(critical, noon)
	if due, _ := g.due(); !due.Equal(noon.Add(5 * time.Second)) {
		t.Errorf("what is critical is due at %s", due)
	}
	g.message(noon)
	g.add(critical, noon)
	if due, _ := g.due(); !due.Equal(noon.Add(time.Minute)) {
		t.Errorf("what is critical again is due at %s: a flood", due)
	}
}

func TestAMessageIsBoundedWhateverHappens(t *testing.T) {
	g := newGroup(testConfig("info"), "")
	for i := range 3 * maxTold {
		g.add(api.Event{Time: noon, Severity: "warning", Kind: "router", Router: fmt.Sprint("r", i), To: fmt.Sprint("state ", i), Reason: strings.Repeat("x", 1000)}, noon)
	}
	if len(g.told) > maxTold {
		t.Errorf("%d events are remembered", len(g.told))
	}
	m := g.message(noon)
	if len(m.Events) != maxEvents || len(m.Text) > 30000 || len(m.Title) > 300 {
		t.Errorf("got %d events, a text of %d bytes, a title of %d", len(m.Events), len(m.Text), len(m.Title))
	}
	if !strings.HasSuffix(m.Text, "`routesteer events` has all") {
		t.Errorf("the text does not say that it is not all: %s", m.Text[len(m.Text)-100:])
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// VIPs that were nowhere and stay there have no change to tell.
func TestVIPsThatWereNeverServedAreToldWithoutAChange(t *testing.T) {
	g := newGroup(testConfig("warning"), "")
	for vip := range 2 {
		g.add(api.Event{Time: noon, Severity: "critical", Kind: "assignment", Cause: "kept", VIP: fmt.Sprintf("203.0.113.%d/32", vip), Reason: "no server is eligible"}, noon)
	}
	if m := g.message(noon); strings.Contains(m.Text, "the first") {
		t.Errorf("got %s", m.Text)
	}
}
