package lab

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
)

func TestASoakMovesNothing(t *testing.T) {
	var progress bytes.Buffer
	soak, err := NewSoak(t.Context(), SoakOptions{
		Lab: steered(Options{Base: shortDir(t), Profile: Default}), For: 3 * time.Second, Busy: -1,
	}, &progress)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s%s", progress.String(), soak)
	if err := soak.Moved(); err != nil {
		t.Error(err)
	}
	// In three seconds the controller may use less than a tick of the kernel's.
	if soak.Requests == 0 || soak.PacketsSent == 0 || soak.ControllerMiB <= 0 ||
		soak.ControllerPeak < soak.ControllerMiB || soak.Busy == 0 || soak.BusyCPU <= 0 || soak.Seconds < 3 {
		t.Errorf("figures are missing: %+v", soak)
	}
}

// A soak that cannot see a move proves nothing.
func TestASoakSeesAMove(t *testing.T) {
	t.Parallel()
	l := start(t, steered(Options{Profile: Fast, Servers: 2, VIPs: 2}))
	if err := l.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &soaking{lab: l, options: SoakOptions{Idle: true, For: time.Millisecond}}
	routes, err := l.WatchRoutes()
	if err != nil {
		t.Fatal(err)
	}
	defer routes.Close()
	last, err := w.lastEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	do(t, l, Crash, "web1")
	if err := l.WaitAt(t.Context(), l.Site.VIPs[0], "web2"); err != nil {
		t.Fatal(err)
	}
	err = poll(t.Context(), time.Millisecond, "the kernel's word of the change", func() (bool, error) {
		changes, err := routes.Changes()
		return len(changes) > 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sum(t.Context(), routes, last, &tally{}); err != nil {
		t.Fatal(err)
	}
	if err := w.soak.Moved(); err == nil || w.soak.RouteChanges == 0 || !strings.Contains(err.Error(), "verdict web1") {
		t.Errorf("%v (%d route changes); want an error that names the verdict", err, w.soak.RouteChanges)
	}
}

func TestMovedNamesTheEvents(t *testing.T) {
	soak := Soak{VerdictChanges: 1, Events: []api.Event{{Kind: "verdict", Server: "web1", VIP: "203.0.113.32/27",
		From: "up", To: "down", Reason: "timeout"}}}
	want := `verdict web1 203.0.113.32/27 "up" to "down" (timeout)`
	if err := soak.Moved(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s in it", err, want)
	}
	if err := (Soak{}).Moved(); err != nil {
		t.Errorf("nothing moved: %v", err)
	}
}

func TestSoakHasTheNamesThatWerePromised(t *testing.T) {
	text, err := json.Marshal(Soak{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"route_changes", "verdict_changes", "events", "failed_requests", "packets_lost",
		"controller_cpu_percent", "controller_rss_mib", "controller_peak_mib", "latest_ms"} {
		if !strings.Contains(string(text), `"`+name+`":`) {
			t.Errorf("%s has no %s", text, name)
		}
	}
}

func TestUsageIsReadAsTheKernelWritesIt(t *testing.T) {
	stat := "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 5 0 100 0 0"
	if got, err := parseCPU(stat); err != nil || got != 2*time.Second {
		t.Errorf("CPU %s, %v; want 2s", got, err)
	}
	if _, err := parseCPU("42 (a) S 1"); err == nil {
		t.Error("half a line is no error")
	}
	if got := parseMiB("Name:\ta\nVmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\n", "VmRSS"); got != 2 {
		t.Errorf("%g MiB, want 2", got)
	}
}
