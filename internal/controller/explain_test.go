package controller_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
)

// explain asks about a VIP.
func (w *world) explain(word string) *api.Explanation {
	w.t.Helper()
	e, err := w.control.Explain(w.t.Context(), word)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// roles are the servers and what they are to the VIP: "web1 down, web2 chosen".
func roles(e *api.Explanation) string {
	var words []string
	for _, s := range e.Servers {
		words = append(words, s.Server+" "+s.Role)
	}
	return strings.Join(words, ", ")
}

func TestAVIPIsExplainedThroughAFailureAndBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		well := w.explain("203.0.113.33")
		if got := roles(well); got != "web1 home, web2 standby" || len(well.Next) != 0 || !well.VIP.InSync || !well.Routers[0].InSync || well.VIP.Prefix != vip1.String() {
			t.Errorf("while all is well: %s, %+v", got, well)
		}

		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		down := w.explain(vip1.String())
		if got := roles(down); got != "web1 down, web2 chosen" || down.Cause != "failover" {
			t.Errorf("while web1 is down: %s, %s", got, down.Cause)
		}
		if s := down.Servers[0]; !s.Target.UpAt.Equal(time.Now().Add(time.Second)) || s.Target.Why != "connection refused" || s.Target.Damping != 0 {
			t.Errorf("of web1 it says %+v", s)
		}
		if len(down.Next) != 1 || !strings.Contains(down.Next[0].What, "web1 is up again at the earliest") {
			t.Errorf("it expects %+v", down.Next)
		}

		w.senses.falls("web1", "", vip1)
		w.settle()
		back := w.explain(vip1.String())
		if got := roles(back); got != "web1 returning, web2 holding" {
			t.Errorf("when web1 is back: %s", got)
		}
		if len(back.Next) != 1 || !back.Next[0].At.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("it expects %+v", back.Next)
		}
		w.later(time.Minute)
		if got := roles(w.explain(vip1.String())); got != "web1 home, web2 standby" {
			t.Errorf("a minute later: %s", got)
		}
	})
}

func TestAnExplanationSaysWhoDrainedAndHowLongAFlapperIsDistrusted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, By: "ann", Reason: "kernel"}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.senses.falls("web3", "timeout", vip2)
			w.settle()
			w.senses.falls("web3", "", vip2)
			for range 32 {
				w.settle()
			}
		}
		w.senses.falls("web3", "timeout", vip2)
		w.settle()
		e := w.explain(vip1.String())
		if admin := e.Servers[0].Admin; e.Servers[0].Role != "out of service" || admin.By != "ann" || admin.Reason != "kernel" || e.Servers[0].Eligible {
			t.Errorf("of web1 it says %+v", e.Servers[0])
		}
		flapper := w.explain(vip2.String()).Servers[1]
		// Eight passes: the next a second from now, the others 200 ms apart.
		if flapper.Target.Damping != 8 || !flapper.Target.UpAt.Equal(time.Now().Add(time.Second+7*200*time.Millisecond)) {
			t.Errorf("of web3 it says damping %d, up in %s", flapper.Target.Damping, time.Until(flapper.Target.UpAt))
		}
	})
}

func TestAnExplanationSaysWhichRouterDoesNotDoAsWanted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		foreign := route(vip1, 4)
		foreign.Foreign, foreign.Detail = true, "static"
		w.edge.Plant(foreign)
		w.start()
		defer w.stop()
		e := w.explain(vip1.String())
		at := slices.IndexFunc(e.Routers, func(r api.RouterAnswer) bool { return r.Router == "edge" })
		if e.VIP.InSync || e.Routers[at].InSync || !strings.Contains(e.Routers[at].Problem, "foreign route 203.0.113.32/27") {
			t.Errorf("it says %+v", e.Routers)
		}
		if other := e.Routers[1-at]; !other.InSync || other.Problem != "" {
			t.Errorf("of the other router it says %+v", other)
		}
		if e := w.explain(vip2.String()); !e.VIP.InSync || !e.Routers[at].InSync {
			t.Errorf("of the other VIP it says %+v", e.Routers)
		}
	})
}

func TestAnUnknownVIPIsToldWhatThereIs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		for word, hint := range map[string]string{"203.0.113.32/28": "203.0.113.32/27", "web1": "`routesteer status web1`", "": ""} {
			_, err := w.control.Explain(t.Context(), word)
			if failure := (*api.Error)(nil); !errors.As(err, &failure) || failure.Code != api.NotFound || !strings.Contains(failure.Hint, hint) {
				t.Errorf("%q: it says %v", word, err)
			}
		}
	})
}

// TestADryRunChecksStandbysAndBelievesThemOnlyItself holds that a simulated drain
// knows of a standby that has just failed, and that nobody else does.
func TestADryRunChecksStandbysAndBelievesThemOnlyItself(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.senses.falls("web2", "no loopback alias", vip1) // which no check has seen yet
		dry := func(prove bool) api.SimulatedStep {
			answer, err := w.control.Simulate(t.Context(), api.SimulateRequest{Steps: []string{"drain web1"}, Prove: prove})
			if err != nil {
				t.Fatal(err)
			}
			return answer.Steps[0]
		}
		if step := dry(false); step.Moved != 1 || len(step.Refused) != 0 {
			t.Errorf("unproven it says %+v", step)
		}
		step := dry(true)
		if step.Moved != 0 || len(step.Refused) != 1 || !strings.Contains(step.Refused[0], "no loopback alias") {
			t.Errorf("it says %+v", step)
		}
		if target := w.status().Servers[1].Targets[0]; target.Health != health.Up.String() || w.status().Servers[0].Admin.State != "ready" {
			t.Errorf("now web2 is %+v", target)
		}
		w.wantRoutes("edge", w.edge, "web1 web2")
		_, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
		if failure := (*api.Error)(nil); !errors.As(err, &failure) || failure.Code != api.Refused || !slices.Equal(failure.Details, step.Refused) {
			t.Errorf("the drain itself says %v, and %q was said", err, step.Refused)
		}
	})
}
