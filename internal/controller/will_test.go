package controller_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// pool is two VIPs with a choice of four servers, judged alike and therefore
// perhaps of one cohort.
const pool = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13, web4: 192.0.2.14}
checks: {web: {http: {port: 80}, rise: 1, fall: 1, through: address}}
vips:
  - {prefix: 203.0.113.32/27, check: web, primary: web1, backup: [web2, web3, web4]}
  - {prefix: 203.0.113.64/27, check: web, primary: web1, backup: [web2, web3, web4]}
routers: {edge: {linux: {}}, core: {linux: {table: 100}}}
`

// do fails the test unless the wish is granted and confirmed.
func (w *world) do(moved *api.Moved, err error) *api.Moved {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	if !moved.Confirmed {
		w.t.Errorf("%s %v %v is not confirmed", moved.Did, moved.Servers, moved.Of)
	}
	return moved
}

// refused fails the test unless the wish is refused with these words.
func (w *world) refused(moved *api.Moved, err error) func(words ...string) {
	w.t.Helper()
	return func(words ...string) {
		w.t.Helper()
		var refusal *api.Error
		if !errors.As(err, &refusal) {
			w.t.Errorf("got %+v, %v; want a refusal", moved, err)
			return
		}
		for _, word := range words {
			if !strings.Contains(refusal.Error(), word) {
				w.t.Errorf("refused with %q, want %q", refusal.Error(), word)
			}
		}
	}
}

// fall makes a server fail every check, or pass again with why "".
func (w *world) fall(server topology.ServerName, why string) {
	w.senses.falls(server, why, vip1, vip2)
	w.settle()
}

func (w *world) warned(words ...string) {
	w.t.Helper()
	warnings := strings.Join(w.status().Warnings, "\n")
	for _, word := range words {
		if !strings.Contains(warnings, word) {
			w.t.Errorf("no warning of %q in %q", word, warnings)
		}
	}
}

func TestAPinMovesOneVIPAndNoOtherThoughTheyAreJudgedAlike(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool
		w.start()
		moved := w.do(w.control.Pin(t.Context(), api.PinRequest{VIP: "203.0.113.64/27", Server: "web3", By: "ann", Reason: "warm cache"}))
		if len(moved.VIPs) != 1 || moved.VIPs[0].VIP != "203.0.113.64/27" || moved.VIPs[0].To[0] != "web3" {
			t.Errorf("the pin answers %+v", moved.VIPs)
		}
		w.wantRoutes("edge", w.edge, "web1 web3")
		w.wantRoutes("core", w.core, "web1 web3")
		if again := w.do(w.control.Pin(t.Context(), api.PinRequest{VIP: "203.0.113.70", Server: "web3"})); !again.Unchanged {
			t.Error("pinning twice, by an address in it, is a change")
		}
		w.stop()
		w.start()
		defer w.stop()
		if pin := w.status().VIPs[1].Pin; pin == nil || pin.Server != "web3" || pin.By != "ann" || pin.Reason != "warm cache" || pin.Void != "" {
			t.Errorf("after a restart the pin is %+v", pin)
		}
		w.wantRoutes("edge, after a restart,", w.edge, "web1 web3")
		w.do(w.control.Unpin(t.Context(), api.UnpinRequest{VIP: "203.0.113.64/27"}))
		w.later(61 * time.Second)
		w.settle()
		w.wantRoutes("edge, unpinned,", w.edge, "web1 web1")
		if gaps := w.edge.Gaps(vip1) + w.edge.Gaps(vip2); gaps != 0 {
			t.Errorf("there were %d moments without a route", gaps)
		}
		if once := w.do(w.control.Unpin(t.Context(), api.UnpinRequest{VIP: "203.0.113.64/27"})); !once.Unchanged {
			t.Error("unpinning twice is a change")
		}
	})
}

func TestAPinStepsAsideForAFailureAndHoldsByForce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.do(w.control.Pin(t.Context(), api.PinRequest{VIP: vip1.String(), Server: "web2"}))
		w.wantRoutes("edge, pinned,", w.edge, "web2 web2")
		w.fall("web2", "connection refused")
		w.wantRoutes("edge, web2 lost,", w.edge, "web1 web3")
		w.warned("203.0.113.32/27 is pinned to web2, but web2 is down: connection refused")
		w.fall("web2", "")
		w.wantRoutes("edge, web2 back,", w.edge, "web2 web3")

		w.fall("web1", "timeout after 500ms")
		w.refused(w.control.Pin(t.Context(), api.PinRequest{VIP: vip1.String(), Server: "web1"}))("not pinned to web1: web1 is down: ", "timeout after 500ms", "--force")
		w.wantRoutes("edge, a pin refused,", w.edge, "web2 web3")
		w.do(w.control.Pin(t.Context(), api.PinRequest{VIP: vip1.String(), Server: "web1", Force: true}))
		w.wantRoutes("edge, pinned by force,", w.edge, "web1 web3")
		w.warned("pinned by force to web1, which cannot carry it")
		w.refused(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}))("203.0.113.32/27: pinned to web1, by force")

		w.refused(w.control.Pin(t.Context(), api.PinRequest{VIP: "203.0.113.1", Server: "web1"}))("no VIP \"203.0.113.1\"")
		w.refused(w.control.Pin(t.Context(), api.PinRequest{VIP: vip1.String(), Server: "web4"}))("web4 is not a server of 203.0.113.32/27", "web1, web2")
	})
}

func TestAPinAndADrainAreObeyedThoughFailuresAreFrozen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool + "policy: {max_unavailable: 1}\n"
		w.start()
		defer w.stop()
		w.fall("web1", "connection refused")
		w.wantRoutes("edge", w.edge, "web3 web2")
		w.fall("web2", "connection refused")
		w.wantRoutes("edge, frozen,", w.edge, "web3 web2")
		if frozen := w.status().Frozen; !strings.Contains(frozen, "max_unavailable (1)") {
			t.Errorf("frozen: %q", frozen)
		}
		w.do(w.control.Pin(t.Context(), api.PinRequest{VIP: vip2.String(), Server: "web4"}))
		w.wantRoutes("edge, pinned,", w.edge, "web3 web4")
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web3"}}))
		w.wantRoutes("edge, drained,", w.edge, "web4 web4")
	})
}

func TestSeveralServersAreDrainedAtOnceOrNotAtAll(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.refused(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1", "web2"}}))("web1, web2 are not drained", "203.0.113.32/27: no server is eligible")
		w.wantRoutes("edge, refused,", w.edge, "web1 web2")
		w.file = pool
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.later(61 * time.Second)
		w.settle()
		before := w.edge.Changes()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1", "web2", "web3"}}))
		w.wantRoutes("edge", w.edge, "web4 web4")
		if n := w.edge.Changes() - before; n != 2 {
			t.Errorf("%d changes for two VIPs: they went by way of servers that were drained, too", n)
		}
	})
}

func TestAServerIsDrainedOfOneVIP(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool
		w.start()
		defer w.stop()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, VIPs: []string{"203.0.113.40"}, By: "ann"}))
		status := w.status()
		if status.Servers[0].Admin.State != "ready" || len(status.VIPs[0].Off) != 1 || status.VIPs[0].Off[0].By != "ann" || len(status.VIPs[1].Off) != 0 {
			t.Errorf("status tells %+v of the VIP and %s of the server", status.VIPs[0].Off, status.Servers[0].Admin.State)
		}
		w.wantRoutes("edge", w.edge, strings.Replace("X web1", "X", status.VIPs[0].Wanted[0], 1))
		if status.VIPs[0].Wanted[0] == "web1" {
			t.Error("the VIP is still at web1")
		}
		w.later(61 * time.Second)
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}, VIPs: []string{"203.0.113.32/27"}}))
		w.wantRoutes("edge, undrained,", w.edge, "web1 web1")
	})
}

func TestAnUndrainOfOneVIPBringsBackNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool + "policy: {failback: never}\n"
		w.start()
		defer w.stop()
		w.fall("web1", "connection refused")
		w.fall("web1", "")
		elsewhere := w.status().VIPs[1].Wanted[0]
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, VIPs: []string{vip1.String()}}))
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}, VIPs: []string{vip1.String()}}))
		w.wantRoutes("edge", w.edge, "web1 "+elsewhere)
	})
}

func TestADrainEndsByItself(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.refused(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Until: time.Now().Add(-time.Minute)}))("that is over")
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Until: time.Now().Add(2 * time.Hour)}))
		w.do(w.control.Pin(t.Context(), api.PinRequest{VIP: vip2.String(), Server: "web3", Until: time.Now().Add(3 * time.Hour)}))
		w.later(time.Hour)
		w.stop()
		w.start() // it is kept until when
		defer w.stop()
		w.later(59 * time.Minute)
		w.wantRoutes("edge, before the end,", w.edge, "web2 web3")
		w.later(2 * time.Minute)
		w.settle()
		w.wantRoutes("edge, after the drain,", w.edge, "web1 web3")
		w.later(time.Hour)
		w.wantRoutes("edge, after the pin,", w.edge, "web1 web2")
		for event, err := range w.control.Events(t.Context(), api.EventsRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Kind == "admin" && (event.By != "routesteer" || !strings.Contains(event.Reason, "it was asked for until 2000-01-01T0")) {
				t.Errorf("it ended so: %+v", event)
			}
		}
	})
}

// TestNewChecksBringNobodyBackWhoFellSinceTrafficWasCalledBack: web1 has fallen after
// traffic was called back, which is still remembered for web3. That it has fallen cannot be
// kept.
func TestNewChecksBringNobodyBackWhoFellSinceTrafficWasCalledBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.NewReplacer(
			"203.0.113.64/27, check: web, primary: web1, backup: [web2, web3, web4]", "203.0.113.64/27, check: web, primary: web3, backup: web4",
			"backup: [web2, web3, web4]", "backup: web2",
		).Replace(pool) + "policy: {failback: never}\n"
		w.start()
		defer w.stop()
		w.fall("web3", "connection refused")
		w.do(w.control.Failback(t.Context(), api.FailbackRequest{}))
		w.later(time.Second)
		if err := os.Rename(w.dir, w.dir+".away"); err != nil {
			t.Fatal(err)
		}
		w.fall("web1", "connection refused")
		w.later(time.Second)
		w.fall("web1", "")
		w.settle()
		w.wantRoutes("edge, web1 just back,", w.edge, "web2 web4")
		w.file = strings.Replace(w.file, "fall: 1", "fall: 2", 1)
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.wantRoutes("edge, with another check,", w.edge, "web2 web4")
		if err := os.Rename(w.dir+".away", w.dir); err != nil {
			t.Fatal(err)
		}
		w.fall("web3", "")
		w.wantRoutes("edge, web3 back,", w.edge, "web2 web3")
	})
}

func TestADrainForARebootEndsWhenTheServerWasDownAndIsWell(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, UntilReboot: true}))
		w.later(time.Hour)
		w.wantRoutes("edge, not rebooted yet,", w.edge, "web2 web2")
		w.fall("web1", "no route to host")
		w.later(time.Second)
		if reboot := w.status().Servers[0].Admin.Reboot; reboot != "seen" {
			t.Errorf("it went down, and the drain says %q", reboot)
		}
		w.stop()
		w.start() // that it went down is not forgotten
		defer w.stop()
		w.fall("web1", "")
		w.later(59 * time.Second)
		w.settle()
		w.wantRoutes("edge, just back,", w.edge, "web2 web2")
		w.later(2 * time.Second)
		w.wantRoutes("edge, stable,", w.edge, "web1 web2")
		if state := w.status().Servers[0].Admin.State; state != "ready" {
			t.Errorf("web1 is %s", state)
		}
	})
}

// TestMaintenanceBeginsAndEndsByTheClock: synctest's clock begins on a Saturday,
// at midnight UTC.
func TestMaintenanceBeginsAndEndsByTheClock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + `maintenance: [{servers: web1, at: "Sat 03:00", for: 1h, time_zone: Europe/Berlin, reason: updates}]` + "\n" + "policy: {failback: manual}\n"
		w.start()
		defer w.stop()
		w.later(time.Hour + 59*time.Minute)
		w.wantRoutes("edge, before,", w.edge, "web1 web2")
		w.wantPaces("a minute before", "web1 regular, web2 slow")
		w.later(40 * time.Second)
		w.wantPaces("shortly before", "web1 regular, web2 regular")
		w.later(80 * time.Second)
		w.wantRoutes("edge, in the window,", w.edge, "web2 web2")
		w.wantPaces("in the window", "web1 slow, web2 regular")
		if admin := w.status().Servers[0].Admin; admin.State != "maintenance" || admin.Reason != "updates" || admin.Until.UTC().Hour() != 3 {
			t.Errorf("status tells %+v", admin)
		}
		w.later(time.Hour)
		w.wantRoutes("edge, after,", w.edge, "web1 web2")
		told := ""
		for event, err := range w.control.Events(t.Context(), api.EventsRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Kind == "admin" {
				told += fmt.Sprintf("%s %s>%s by %s (%s); ", event.Server, event.From, event.To, event.By, event.Reason)
			}
		}
		if want := "web1 ready>maintenance by site.yaml (updates); web1 maintenance>ready by site.yaml (); "; told != want {
			t.Errorf("the journal tells %q, want %q", told, want)
		}
		w.later(7 * 24 * time.Hour)
		if changes := w.edge.Changes(); changes != 6 {
			t.Errorf("%d changes in two windows, want 2 at the start and 2 for each", changes)
		}
	})
}

func TestFailbackIsDoneWhenAnOperatorAsks(t *testing.T) {
	for _, policy := range []string{"manual", "never", "{after: 1h}", "{after: 60s, between: 05:00-06:00}"} {
		t.Run(policy, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.file = article + "policy: {failback: " + policy + "}\n"
				w.start()
				defer w.stop()
				w.fall("web1", "connection refused")
				w.fall("web1", "")
				w.later(10 * time.Minute)
				w.wantRoutes("edge, waiting,", w.edge, "web2 web2")
				if moved := w.do(w.control.Failback(t.Context(), api.FailbackRequest{Of: []string{vip2.String()}})); len(moved.VIPs) != 0 {
					t.Errorf("of the other VIP: %+v", moved.VIPs)
				}
				w.wantRoutes("edge, failback of the other VIP,", w.edge, "web2 web2")
				w.do(w.control.Failback(t.Context(), api.FailbackRequest{Of: []string{"web1"}}))
				w.wantRoutes("edge, failback to web1,", w.edge, "web1 web2")
				w.refused(w.control.Failback(t.Context(), api.FailbackRequest{Of: []string{"wbe1"}}))("no VIP or server \"wbe1\"", "did you mean web1?")
			})
		})
	}
}

func TestFailbackWaitsForItsTimeOfDay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {failback: {after: 60s, between: 05:00-06:00}}\n"
		w.start()
		defer w.stop()
		w.fall("web1", "connection refused")
		w.fall("web1", "")
		w.later(4*time.Hour + 59*time.Minute)
		w.wantRoutes("edge, at night,", w.edge, "web2 web2")
		if why := w.status().VIPs[0].Why; !strings.Contains(why, "between 05:00-06:00 UTC") {
			t.Errorf("why: %q", why)
		}
		w.later(2 * time.Minute)
		w.wantRoutes("edge, at five,", w.edge, "web1 web2")
	})
}

// TestAnUndrainSaysTruthfullyWhenTrafficReturns: at once to who was well all along, and
// when it was well for long enough, at any time of day, to who is just back.
func TestAnUndrainSaysTruthfullyWhenTrafficReturns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {failback: {after: 60s, between: 05:00-06:00}}\n"
		w.start()
		defer w.stop()
		w.later(time.Hour)
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}))
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}))
		w.wantRoutes("edge, well all along,", w.edge, "web1 web2")
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}))
		w.fall("web1", "no route to host")
		w.fall("web1", "")
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}))
		told := w.status().VIPs[0].Next
		w.later(time.Second)
		w.fall("web4", "connection refused")
		if now := w.status().VIPs[0].Next; !now.Equal(told) || time.Until(now) > time.Minute {
			t.Errorf("the undrain was to bring traffic back at %s, now it is to at %s", told, now)
		}
		w.later(time.Until(told) - time.Second)
		w.wantRoutes("edge, before it is due,", w.edge, "web2 web2")
		w.later(2 * time.Second)
		w.wantRoutes("edge, when it is due,", w.edge, "web1 web2")
	})
}

// TestMostServersLostTogetherMoveNothingUntilToldTo also reloads and restarts
// meanwhile: nothing that was held back may slip through.
func TestMostServersLostTogetherMoveNothingUntilToldTo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool
		w.start()
		for _, server := range []topology.ServerName{"web2", "web3", "web1"} { // who has the traffic last: it may move before it shows that most are lost
			w.fall(server, "connection refused")
		}
		w.wantRoutes("edge", w.edge, "web1 web1")
		w.warned("most servers of 2 of 2 VIPs were lost within", "routesteer resume")
		w.file = strings.Replace(pool, "port: 80", "port: 8080", 1) // new checks: nothing is known
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.wantRoutes("edge, reloaded,", w.edge, "web1 web1")
		w.stop()
		w.start()
		defer w.stop()
		w.settle()
		w.wantRoutes("edge, restarted,", w.edge, "web1 web1")
		w.do(w.control.Resume(t.Context(), api.ResumeRequest{By: "ann"}))
		w.wantRoutes("edge, resumed,", w.edge, "web4 web4")
		if frozen := w.status().Frozen; frozen != "" {
			t.Errorf("still frozen: %s", frozen)
		}
	})
}

func TestALossWaitsForAWitness(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {witness: 192.0.2.1}\n"
		w.start()
		defer w.stop()
		witness := netip.MustParseAddr("192.0.2.1")
		hear := func(since time.Time) {
			w.senses.news <- health.Heard{Address: witness, Asked: time.Now(), Since: since}
			w.later(0)
		}
		hear(time.Time{})
		w.later(time.Second)
		w.fall("web1", "connection refused")
		w.wantRoutes("edge, the witness not heard since,", w.edge, "web1 web2")
		if w.senses.asked != 1 {
			t.Errorf("the witness was asked for %d times, want once", w.senses.asked)
		}
		w.later(2 * time.Second)
		w.warned("no witness (192.0.2.1) was heard since")
		if !w.status().VIPs[0].Held {
			t.Error("status does not tell that the VIP is held back")
		}
		w.later(5 * time.Second)
		w.warned("no witness (192.0.2.1) is heard: until one is, failures move nothing")
		back := time.Now()
		hear(back)
		w.wantRoutes("edge, heard after a silence, web1 not checked since,", w.edge, "web1 web2")
		w.later(time.Second)
		w.settle()
		w.wantRoutes("edge, checked since,", w.edge, "web2 web2")

		w.fall("web2", "connection refused")
		w.later(time.Millisecond)
		hear(back)
		w.wantRoutes("edge, a witness that was never silent,", w.edge, "web2 web3")
	})
}

func TestADrainThatIsForgottenIsRemindedOf(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, By: "ann"}))
		w.later(23 * time.Hour)
		if warnings := w.status().Warnings; len(warnings) != 0 {
			t.Errorf("within the limit: %q", warnings)
		}
		w.later(2 * time.Hour)
		w.warned("web1 has been drained by ann for 25h0m0s: is it forgotten?")
	})
}

func TestWeightZeroAndTheFirstTier(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.Replace(article, "backup: web2}", "backup: web2, weights: {web1: 0}, on_all_down: first_tier}", 1)
		w.start()
		defer w.stop()
		w.wantRoutes("edge, web1 has no share,", w.edge, "web2 web2")
		w.senses.falls("web2", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge, nobody is left,", w.edge, "web1 web2")
	})
}

func TestFailuresMoveNoMorePrefixesThanTheLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.Replace(strings.Replace(pool, "edge: {linux: {}}", "edge: {linux: {}, change_limit: {changes: 1, per: 1m}}", 1), "primary: web1", "primary: [web1]", 2)
		w.start()
		defer w.stop()
		w.wantRoutes("edge, at the start, which is no failure,", w.edge, "web1 web1")
		w.fall("web1", "connection refused")
		want := w.status().VIPs[0].Wanted[0] + " " + w.status().VIPs[1].Wanted[0]
		w.wantRoutes("core, without a limit,", w.core, want)
		w.wantRoutes("edge, one of two,", w.edge, strings.Fields(want)[0]+" web1")
		w.warned("router edge is out of sync: 1 prefixes wait for their failover: change_limit lets 1 move in 1m0s, the next of them at 00:01:00")
		w.later(30 * time.Second)
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.later(time.Second)
		w.wantRoutes("edge, reloaded in that minute,", w.edge, strings.Fields(want)[0]+" web1")
		w.later(30 * time.Second)
		w.wantRoutes("edge, a minute later,", w.edge, want)
		w.do(w.control.Pin(t.Context(), api.PinRequest{VIP: vip1.String(), Server: "web4"}))
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2", "web3"}}))
		w.wantRoutes("edge, what people ask for,", w.edge, "web4 web4")
	})
}

// TestADrainThatEndsByItselfBringsTrafficBackThoughFailbackIsManual holds that an
// end that was asked for is an operator's word, as an undrain is.
func TestADrainThatEndsByItselfBringsTrafficBackThoughFailbackIsManual(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file += "policy: {failback: manual}\n"
		w.start()
		defer w.stop()
		until := time.Now().Add(time.Minute)
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Until: until}))
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2"}, VIPs: []string{vip2.String()}, Until: until}))
		w.wantRoutes("edge", w.edge, "web2 web3")
		w.later(61 * time.Second)
		w.wantRoutes("edge, a minute later,", w.edge, "web1 web2")
	})
}

// TestARestartTakesOldLossesForNoCommonOne: three of four servers, lost one after the
// other, are all found down at once by the next controller, which has nothing to hold
// back for that.
func TestARestartTakesOldLossesForNoCommonOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool
		w.start()
		for _, server := range []topology.ServerName{"web1", "web2", "web3"} {
			w.fall(server, "connection refused")
			w.later(time.Hour)
		}
		w.wantRoutes("edge", w.edge, "web4 web4")
		w.stop()
		w.start()
		defer w.stop()
		w.settle()
		if frozen := w.status().Frozen; frozen != "" {
			t.Errorf("after a restart: %s", frozen)
		}
	})
}
