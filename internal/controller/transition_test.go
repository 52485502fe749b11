package controller_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
)

var (
	address1 = netip.MustParseAddr("192.0.2.11")
	address2 = netip.MustParseAddr("192.0.2.12")
)

// inTransition drains web1 with connections at it, on a router that keeps
// them for ten minutes.
func inTransition(t *testing.T, f func(t *testing.T, w *world)) {
	inWorld(t, func(t *testing.T, w *world) {
		w.edge.Keep(10 * time.Minute)
		w.edge.Connect(vip1, address1, 5)
		w.start()
		defer func() { w.stop() }()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.wantTransition("ending", 5)
		f(t, w)
	})
}

// wantTransition fails unless the only transition that concerns web1 is so.
func (w *world) wantTransition(state string, left int) {
	w.t.Helper()
	all, err := w.control.Transitions(w.t.Context(), "web1")
	if err != nil {
		w.t.Fatal(err)
	}
	if len(all) != 1 || all[0].State != state || all[0].Connections() != left {
		w.t.Errorf("transitions of web1: %+v; want one that is %s with %d connections", all, state, left)
	}
}

// TestWhoFellSinceKeepsNoConnections: edge cannot be told of the drain until web1, which
// was to keep its connections, has fallen.
func TestWhoFellSinceKeepsNoConnections(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.edge.Keep(10 * time.Minute)
		w.edge.Connect(vip1, address1, 5)
		w.start()
		defer w.stop()
		w.edge.Cut()
		moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, TimeoutMs: 1000})
		if err != nil || moved.Confirmed {
			t.Errorf("the drain, while edge cannot be told: %+v, %v", moved, err)
		}
		w.fall("web1", "no route to host")
		w.edge.Mend()
		w.later(2 * time.Minute)
		w.wantRoutes("edge, told at last,", w.edge, "web2 web2")
		if all := w.status().Transitions; len(all) > 0 {
			t.Errorf("connections may stay at web1, which is down: %+v", all)
		}
	})
}

func TestADrainIsOverWhenItsConnectionsHaveEnded(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.wantRoutes("edge", w.edge, "web2 web2")
		w.later(5 * time.Minute)
		w.wantTransition("ending", 5)
		w.edge.Connect(vip1, address1, 0)
		w.later(2 * time.Second)
		w.wantTransition("idle", 0)
		if n := len(w.status().Transitions); n != 0 {
			t.Errorf("status shows %d transitions after the end", n)
		}
	})
}

func TestSilentConnectionsAreWaitedForAMinute(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.edge.Connect(vip1, address1, 0) // that is: none has spoken
		w.later(58 * time.Second)
		w.wantTransition("ending", 0)
		w.later(3 * time.Second)
		w.wantTransition("idle", 0)
	})
}

func TestADrainTimesOut(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.later(10*time.Minute + 2*time.Second)
		w.wantTransition("timed out", 5)
	})
}

func TestConnectionsOfALostServerAreGivenUp(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.senses.news <- health.Loss{Server: "web1", Address: address1, At: time.Now(), Failure: "no answer to 3 echoes"}
		w.later(2 * time.Second)
		if got := w.edge.Released(vip1); len(got) != 1 || got[0] != address1 {
			t.Errorf("given up: %v; want web1's", got)
		}
		w.later(time.Minute)
		w.wantTransition("forced", 0)
	})
}

func TestAServerIsLostBeforeANewControllerHasSeenTheTransition(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.stop()
		w.edge.Cut()
		w.start()
		w.senses.news <- health.Loss{Server: "web1", Address: address1, At: time.Now(), Failure: "no answer to 3 echoes"}
		w.senses.news <- health.Result{Target: health.Target{Server: "web2", VIP: vip2}, Started: time.Now(), Failure: "connection refused"}
		w.edge.Mend()
		w.later(time.Minute)
		if got := w.edge.Released(vip1); len(got) != 1 || got[0] != address1 {
			t.Errorf("given up: %v; want web1's", got)
		}
	})
}

func TestConnectionsOfAServerThatOnlyFailsItsChecksStay(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.later(2 * time.Minute)
		w.wantTransition("ending", 5)
	})
}

func TestTheNewServerFailsInMidTransition(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.Replace(article, "primary: web1, backup: web2", "primary: web1, backup: web2, backup2: web3", 1)
		w.edge.Keep(10 * time.Minute)
		w.edge.Connect(vip1, address1, 5)
		w.start()
		defer w.stop()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.edge.Connect(vip1, address2, 7)
		w.senses.falls("web2", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge", w.edge, "web3 web2")
		w.later(2 * time.Second)
		all, err := w.control.Transitions(t.Context(), "")
		if err != nil || len(all) != 1 || all[0].To[0] != "web3" || all[0].Connections() != 12 {
			t.Errorf("transitions: %+v, %v; want one to web3, with those of web1 and web2 where they were", all, err)
		}
	})
}

func TestARestartFindsTheTransition(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.stop()
		w.start()
		w.wantTransition("ending", 5)
		w.edge.Connect(vip1, address1, 0)
		w.later(61 * time.Second)
		w.wantTransition("idle", 0)
	})
}

func TestAReloadKeepsTheTransition(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.file += "alive: {interval: 300ms}\n"
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.wantTransition("ending", 5)
		w.later(time.Minute)
		w.wantTransition("ending", 5)
	})
}

func TestATransitionThatSomebodyElseEndsIsForced(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.edge.Forget(vip1)
		w.later(2 * time.Second)
		w.wantTransition("forced", 5)
	})
}

func TestAnUndrainInMidTransitionKeepsTheConnectionsOfBoth(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.edge.Connect(vip1, address2, 3)
		w.later(time.Minute) // web1 has been well for as long as failback wants
		if _, err := w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.wantRoutes("edge", w.edge, "web1 web2")
		w.wantTransition("ending", 3)
	})
}

func TestAFailureCutsConnections(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.edge.Keep(10 * time.Minute)
		w.edge.Connect(vip1, address1, 5)
		w.start()
		defer w.stop()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge", w.edge, "web2 web2")
		if n := len(w.status().Transitions); n != 0 {
			t.Errorf("%d transitions after a failure, want none: nobody is left to talk to", n)
		}
	})
}

func TestARouterThatCannotKeepConnectionsSaysSoBeforeTheMove(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.edge.Keep(10 * time.Minute)
		w.edge.KeepNone(errors.New("no nf_tables"))
		w.start()
		defer w.stop()
		if all := strings.Join(w.status().Warnings, "\n"); !strings.Contains(all, "router edge: planned moves cut connections: no nf_tables") {
			t.Errorf("warnings: %q", all)
		}
		moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
		if err != nil || len(moved.Cut) != 1 || moved.Cut[0] != "edge: no nf_tables" {
			t.Errorf("the drain says %+v, %v", moved, err)
		}
		w.wantRoutes("edge", w.edge, "web2 web2")
		said, moves := -1, -1
		for event := range w.control.Events(t.Context(), api.EventsRequest{}) {
			if event.Kind == "transition" && strings.HasPrefix(event.Reason, "this move cuts connections") {
				said = int(event.Seq)
			}
			if event.Kind == "assignment" && event.From == "web1" {
				moves = int(event.Seq)
			}
		}
		if said < 0 || moves < said {
			t.Errorf("the warning is event %d, the move event %d", said, moves)
		}
	})
}

func TestAnOperatorCutsWhatIsLeft(t *testing.T) {
	inTransition(t, func(t *testing.T, w *world) {
		w.later(time.Second)
		moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Cut: true})
		if err != nil || !moved.Unchanged {
			t.Errorf("the second drain says %+v, %v", moved, err)
		}
		w.later(time.Millisecond)
		w.wantTransition("forced", 5)
	})
}

// The connections that exist belong where the route went before.
func TestARepairIsNoTransition(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.edge.Keep(10 * time.Minute)
		w.edge.Connect(vip1, address1, 5)
		w.start()
		defer w.stop()
		for _, request := range []func() error{
			func() error {
				_, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
				return err
			},
			func() error {
				_, err := w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}})
				return err
			},
		} {
			if err := request(); err != nil {
				t.Fatal(err)
			}
			w.later(2 * time.Minute) // web2 has had the traffic, and both are well
			w.settle()
		}
		w.edge.Forget(vip1)
		w.later(2 * time.Second)
		w.wantRoutes("edge", w.edge, "web1 web2")
		w.edge.Plant(route(vip1, 2))
		w.later(2 * time.Second)
		w.wantRoutes("edge", w.edge, "web1 web2")
		if n := len(w.status().Transitions); n != 0 {
			t.Errorf("a repair began %d transitions", n)
		}
	})
}
