package controller_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/state"
)

// limited is pool with a router on which failures move one prefix a minute. Of VIPs
// that leave web1, the first goes to web3 and the second to web2.
var limited = strings.Replace(pool, "edge: {linux: {}}", "edge: {linux: {}, change_limit: {changes: 1, per: 1m}}", 1)

// TestWhatWaitsForTheLimitStillWaitsWhenTheServerIsBack reloads meanwhile, so that the
// router gets an order whose reason is no failure any more.
func TestWhatWaitsForTheLimitStillWaitsWhenTheServerIsBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		defer w.stop()
		w.fall("web1", "connection refused")
		w.wantRoutes("edge, one of two,", w.edge, "web3 web1")
		w.fall("web1", "")
		w.wantRoutes("core, which has no limit, web1 just back,", w.core, "web3 web2")
		w.wantRoutes("edge, web1 just back,", w.edge, "web3 web1")
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.later(50 * time.Second)
		w.wantRoutes("edge, before the failback,", w.edge, "web3 web1")
		w.later(11 * time.Second)
		w.wantRoutes("edge, after the failback,", w.edge, "web1 web1")
	})
}

// TestWhatPeopleAskForDoesNotWaitForTheLimit though a failure asked for the same before.
func TestWhatPeopleAskForDoesNotWaitForTheLimit(t *testing.T) {
	for ask, do := range map[string]func(*world){
		"drain": func(w *world) {
			w.do(w.control.Drain(w.t.Context(), api.DrainRequest{Servers: []string{"web1"}}))
		},
		"pin": func(w *world) {
			w.do(w.control.Pin(w.t.Context(), api.PinRequest{VIP: "203.0.113.64/27", Server: "web2"}))
		},
	} {
		for how, check := range map[string]string{"judged alike": "through: address, rise", "each alone": "rise"} {
			t.Run(ask+"/"+how, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					w.file = strings.Replace(limited, "through: address, rise", check, 1)
					w.start()
					defer w.stop()
					w.fall("web1", "connection refused")
					w.wantRoutes("edge, one of two,", w.edge, "web3 web1")
					do(w)
					w.wantRoutes("edge, once it was asked for,", w.edge, "web3 web2")
				})
			})
		}
	}
}

// TestARestartIsNoWayRoundTheLimit restarts twice, so that the second controller has to
// remember what the first has moved, and the third what the second has.
func TestARestartIsNoWayRoundTheLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		w.fall("web1", "connection refused")
		w.wantRoutes("edge, one of two,", w.edge, "web3 web1")
		for range 2 {
			w.later(10 * time.Second)
			w.stop()
			w.start()
			w.later(10 * time.Second)
			w.wantRoutes("edge, after a restart,", w.edge, "web3 web1")
			w.warned("router edge is out of sync", "change_limit")
		}
		w.later(15 * time.Second)
		w.wantRoutes("edge, before the minute is over,", w.edge, "web3 web1")
		w.later(10 * time.Second)
		w.wantRoutes("edge, after the minute,", w.edge, "web3 web2")
		w.stop()
	})
}

// TestAClockThatIsPutBackLengthensNoLimit: what was noted is of a time to come.
func TestAClockThatIsPutBackLengthensNoLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		w.fall("web1", "connection refused")
		w.stop()
		file := filepath.Join(w.dir, "state.json")
		intent, err := state.Load(file)
		if err != nil || len(intent.Moved["edge"]) != 1 {
			t.Fatalf("noted of edge: %v, %v", intent.Moved["edge"], err)
		}
		intent.Moved["edge"][0].At = time.Now().Add(time.Hour)
		if err := state.Save(file, intent); err != nil {
			t.Fatal(err)
		}
		w.start()
		defer w.stop()
		w.settle()
		w.later(59 * time.Second)
		w.wantRoutes("edge, before the minute is over,", w.edge, "web3 web1")
		w.later(2 * time.Second)
		w.wantRoutes("edge, after the minute,", w.edge, "web3 web2")
	})
}

// TestWhatWasMovedWhenItWasStoppedIsCounted stops the controller when the router has moved
// a prefix and is about to be asked whether it did.
func TestWhatWasMovedWhenItWasStoppedIsCounted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		w.edge.Delay(time.Second)
		w.fall("web1", "connection refused")
		w.later(1500 * time.Millisecond)
		w.stop()
		w.edge.Delay(0)
		w.start()
		defer w.stop()
		w.later(5 * time.Second)
		w.wantRoutes("edge, after a restart,", w.edge, "web3 web1")
	})
}

func TestARefusalIsToldAndHoldsUpNoOtherThoughThereIsALimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		defer w.stop()
		w.edge.Refuse(netip.MustParseAddr("192.0.2.13"), errors.New("no such neighbour"))
		w.fall("web1", "connection refused")
		w.warned("router edge is out of sync", "no such neighbour")
		w.later(5 * time.Second)
		w.wantRoutes("edge, one refused,", w.edge, "web1 web2")
	})
}

func TestARepairWaitsForNoLimitThoughAFailureWasBefore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		defer w.stop()
		w.fall("web1", "connection refused")
		w.later(61 * time.Second)
		w.wantRoutes("edge, both moved,", w.edge, "web3 web2")
		w.edge.Plant(route(vip1, 4))
		w.edge.Plant(route(vip2, 4))
		synctest.Wait()
		w.later(time.Second)
		w.wantRoutes("edge, repaired,", w.edge, "web3 web2")
	})
}

// TestWhatIsConfirmedIsWhatIsTold: while a drain waits for core, the servers that took over fail,
// and change_limit holds one of the moves that follow.
func TestWhatIsConfirmedIsWhatIsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		defer w.stop()
		w.core.Delay(5 * time.Second)
		answer := make(chan *api.Moved)
		go func() {
			moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
			if err != nil {
				t.Error(err)
			}
			answer <- moved
		}()
		w.later(time.Second)
		w.wantRoutes("edge, drained,", w.edge, "web3 web2")
		w.fall("web2", "connection refused")
		w.fall("web3", "connection refused")
		moved := <-answer
		w.wantRoutes("edge, with one move that waits,", w.edge, "web3 web4")
		for _, vip := range moved.VIPs {
			if len(vip.To) != 1 || vip.To[0] != "web4" || moved.Confirmed {
				t.Errorf("told of %s to %v, confirmed: %t", vip.VIP, vip.To, moved.Confirmed)
			}
		}
		// That web1, which had it before, is drained, is no reason to hurry.
		w.fall("web2", "")
		w.fall("web3", "")
		w.later(time.Second)
		w.wantRoutes("edge, with all but web1 back,", w.edge, "web3 web4")
	})
}

// TestADrainIsConfirmedThoughFailuresMovesWait holds that what change_limit holds of
// other VIPs is no matter to a drain, and that a plan tells of it as held.
func TestADrainIsConfirmedThoughFailuresMovesWait(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		defer w.stop()
		w.fall("web1", "connection refused")
		w.wantRoutes("edge, one of two,", w.edge, "web3 web1")
		began := time.Now()
		moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web3"}})
		if err != nil || !moved.Confirmed || time.Since(began) > time.Second {
			t.Errorf("the drain: %+v, %v, after %s", moved, err, time.Since(began))
		}
		plan, err := w.control.Plan(t.Context())
		if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Prefix != vip2.String() || !plan.Changes[0].HeldUntil.After(time.Now()) {
			t.Errorf("the plan: %+v, %v", plan, err)
		}
		again, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2"}, VIPs: []string{vip1.String()}, TimeoutMs: 1000})
		if err != nil || again.Confirmed {
			t.Errorf("a drain of web2, where the VIP that waits is to go: %+v, %v", again, err)
		}
	})
}
