package controller_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// journal are the events that are asked for, in short.
func (w *world) journal(request api.EventsRequest) []string {
	w.t.Helper()
	var events []string
	for event, err := range w.control.Events(w.t.Context(), request) {
		if err != nil {
			w.t.Fatal(err)
		}
		words := []string{event.Severity, event.Kind, event.Router, event.Server, event.VIP, event.From, ">", event.To}
		events = append(events, strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), " "))
	}
	return events
}

func (w *world) wantEvents(request api.EventsRequest, want ...string) {
	w.t.Helper()
	if got := w.journal(request); !slices.Equal(got, want) {
		w.t.Errorf("%+v: got\n%s\nwant\n%s", request, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEventsAreFoundByWhatTheyAreAbout(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		began := time.Now()
		w.later(time.Second)
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		verdict, assignment := "warning verdict web1 203.0.113.32/27 up > down", "warning assignment 203.0.113.32/27 web1 > web2"
		routes := []string{"info route core 203.0.113.32/27 web1 > web2", "info route edge 203.0.113.32/27 web1 > web2"}
		w.wantEvents(api.EventsRequest{After: began, Severity: "warning"}, verdict, assignment)
		w.wantEvents(api.EventsRequest{After: began, VIPs: []string{"203.0.113.40"}, Kinds: []string{"verdict", "assignment"}}, verdict, assignment)
		w.wantEvents(api.EventsRequest{After: began, VIPs: []string{vip2.String()}})
		w.wantEvents(api.EventsRequest{After: began, VIPs: []string{"198.51.100.0/24"}}) // that the site may have had
		w.wantEvents(api.EventsRequest{After: began, Routers: []string{"core"}}, routes[:1]...)
		w.wantEvents(api.EventsRequest{After: began, Servers: []string{"web1"}, Kinds: []string{"verdict"}}, verdict)
		w.wantEvents(api.EventsRequest{Kinds: []string{"verdict", "assignment"}, Last: 1}, assignment)
	})
}

func TestAVIPThatNobodyKnowsHasNoEvents(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		var failure *api.Error
		for _, err := range w.control.Events(t.Context(), api.EventsRequest{VIPs: []string{"mial"}}) {
			if !errors.As(err, &failure) || failure.Code != api.NotFound {
				t.Errorf("got %v, want not found", err)
			}
		}
		if failure == nil {
			t.Error("no error")
		}
	})
}

func TestAnOutageIsCriticalAndItsEndIsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		for server := 1; server <= 4; server++ {
			w.later(5 * time.Minute) // not together: that would be a guard's business
			w.senses.falls(topology.ServerName(fmt.Sprintf("web%d", server)), "connection refused", vip1)
			w.settle()
		}
		outage := w.journal(api.EventsRequest{Severity: "critical"})
		if len(outage) != 1 || !strings.HasPrefix(outage[0], "critical assignment 203.0.113.32/27") {
			t.Errorf("got %q", outage)
		}
		ended := time.Now()
		w.later(time.Second)
		w.senses.falls("web1", "", vip1)
		w.settle()
		w.settle()
		w.settle()
		after := w.journal(api.EventsRequest{After: ended, Kinds: []string{"assignment"}})
		if len(after) == 0 || strings.HasPrefix(after[0], "critical") {
			t.Errorf("the outage is over, and the events are %q", after)
		}
	})
}

func TestAnEventSaysInAWordWhy(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, By: "anna"}); err != nil {
			t.Fatal(err)
		}
		var causes []string
		for event := range w.control.Events(t.Context(), api.EventsRequest{Servers: []string{"web1"}, Kinds: []string{"assignment", "route"}, Last: 3}) {
			causes = append(causes, fmt.Sprintf("%s %s", event.Kind, event.Cause))
		}
		if want := []string{"assignment drained", "route drained", "route drained"}; !slices.Equal(causes, want) {
			t.Errorf("got %q, want %q", causes, want)
		}
	})
}

func TestEventsOutliveTheController(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.kept = filepath.Join(w.dir, "events.jsonl")
		w.start()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, By: "anna"}); err != nil {
			t.Fatal(err)
		}
		w.stop()
		w.start()
		defer w.stop()
		w.wantEvents(api.EventsRequest{Kinds: []string{"admin", "controller"}},
			"notice controller > running", "notice admin web1 ready > drain", "notice controller > stopped", "notice controller > running")
		last := uint64(0)
		for event := range w.control.Events(t.Context(), api.EventsRequest{}) {
			if event.Seq != last+1 {
				t.Errorf("%d follows %d", event.Seq, last)
			}
			last = event.Seq
		}
	})
}

func TestAFullDiskIsAWarningAndSteeringGoesOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.kept = filepath.Join(w.dir, "events.jsonl")
		if err := os.Symlink("/dev/full", w.kept); err != nil {
			t.Fatal(err)
		}
		w.start()
		defer w.stop()
		if warnings := w.status().Warnings; len(warnings) != 1 || !strings.Contains(warnings[0], "no space left on device") {
			t.Errorf("status warns of %q", warnings)
		}
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge", w.edge, "web2 web2")
		if err := os.Remove(w.kept); err != nil {
			t.Fatal(err)
		}
		w.later(time.Minute)
		for _, warning := range w.status().Warnings {
			if strings.Contains(warning, "no space") {
				t.Errorf("status still warns of %q", warning)
			}
		}
	})
}
