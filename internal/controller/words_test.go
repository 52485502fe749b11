package controller_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// TestAServerThatAsksIsDrainedAndGetsItsTrafficBack holds that the word of an agent
// moves traffic as an operator's does, without a failure: back at once, and never
// to where it would strand.
func TestAServerThatAsksIsDrainedAndGetsItsTrafficBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.later(time.Hour)
		say := func(server topology.ServerName, said health.Said) {
			w.senses.news <- health.Result{Target: health.Target{Server: server, VIP: vip1}, Started: time.Now(), Said: &said}
			w.later(0)
		}
		say("web1", health.Said{Leave: true, Text: "kernel"})
		w.wantRoutes("edge, web1 asks to be drained,", w.edge, "web2 web2")
		if why := w.status().VIPs[0].Why; why != "web1 is asking to be drained (kernel): moved to web2 (backup)" {
			t.Errorf("why: %q", why)
		}
		say("web2", health.Said{Leave: true})
		w.wantRoutes("edge, both ask,", w.edge, "web2 web2")
		w.warned("203.0.113.32/27 has no eligible server")
		// An operator who drains it too would strand that VIP, and is to know.
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2"}}); err == nil || !strings.Contains(err.Error(), "no other server can carry") {
			t.Errorf("a drain of the server that keeps a VIP though it asks to be drained: %v", err)
		}
		say("web1", health.Said{Stay: true})
		w.wantRoutes("edge, web1 asks for traffic,", w.edge, "web1 web2")
	})
}

// TestAWordOfAnAgentIsToldOnceAndShown holds that what a server asks for is an
// event when it begins and when it ends, by the agent, and is in status meanwhile.
func TestAWordOfAnAgentIsToldOnceAndShown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		target := health.Target{Server: "web3", VIP: vip2}
		for _, said := range []health.Said{{Leave: true, Text: "kernel"}, {}, {Leave: true, Text: "kernel"}, {Stay: true}} {
			w.senses.news <- health.Result{Target: target, Started: time.Now(), Said: &said}
			synctest.Wait()
			var want *api.Word
			if !said.Stay {
				want = &api.Word{Leave: true, Text: "kernel"}
			}
			got := w.status().Servers[2].Targets[0].Word
			if (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Errorf("after %+v: word %+v, want %+v", said, got, want)
			}
		}
		var told []string
		for event, err := range w.control.Events(t.Context(), api.EventsRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Kind == "agent" {
				told = append(told, event.Server+" "+event.VIP+" by "+event.By+": "+event.Reason)
			}
		}
		want := []string{"web3 203.0.113.64/27 by agent: asks to be drained: kernel", "web3 203.0.113.64/27 by agent: asks for traffic again"}
		if !slices.Equal(told, want) {
			t.Errorf("events %q, want %q", told, want)
		}
	})
}
