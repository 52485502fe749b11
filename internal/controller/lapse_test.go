package controller_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
)

func TestTrafficReturnsWhenADrainEndsByItselfThoughFailbackIsManual(t *testing.T) {
	for name, request := range map[string]api.DrainRequest{
		"of a server": {Servers: []string{"web1"}},
		"of one VIP":  {Servers: []string{"web1"}, VIPs: []string{vip1.String()}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.file = article + "policy: {failback: manual}\n"
				w.start()
				defer w.stop()
				request.Until = time.Now().Add(2 * time.Hour)
				w.do(w.control.Drain(t.Context(), request))
				w.wantRoutes("edge, drained,", w.edge, "web2 web2")
				w.later(2*time.Hour + time.Second)
				w.wantRoutes("edge, after the end,", w.edge, "web1 web2")
			})
		})
	}
}

func TestADrainForARebootThatCouldNotBeEndedIsTriedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, UntilReboot: true}))
		w.fall("web1", "no route to host")
		w.later(time.Second)
		w.fall("web1", "")
		if err := os.Rename(w.dir, w.dir+".away"); err != nil {
			t.Fatal(err)
		}
		w.later(2 * time.Minute)
		w.wantRoutes("edge, while that cannot be kept,", w.edge, "web2 web2")
		if err := os.Rename(w.dir+".away", w.dir); err != nil {
			t.Fatal(err)
		}
		w.later(11 * time.Second)
		w.wantRoutes("edge, once it can,", w.edge, "web1 web2")
	})
}

// TestWhoAnswersAndIsNotTrustedYetHasNotRebooted: web1 has flapped, so that it takes more
// than one pass to rise.
func TestWhoAnswersAndIsNotTrustedYetHasNotRebooted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		reboot := func(when, want string) {
			t.Helper()
			w.later(5 * time.Minute)
			if admin := w.status().Servers[0].Admin; admin.State != "drain" || admin.Reboot != want {
				t.Errorf("web1 %s, and is %+v; want a reboot %s", when, admin, want)
			}
		}
		w.fall("web1", "connection refused")
		w.fall("web1", "")
		w.fall("web1", "connection refused")
		w.fall("web1", "")
		if target := w.status().Servers[0].Targets[0]; target.Health != "down" {
			t.Fatalf("web1 has flapped, answers once, and is %s", target.Health)
		}
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, UntilReboot: true}))
		reboot("answers", "awaited")
		w.settle()
		reboot("is trusted again", "awaited")
		w.fall("web1", "no route to host")
		reboot("went down", "seen")
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, UntilReboot: true}))
		reboot("was down before, and may be back", "awaited")
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Reason: "another kernel"}))
		reboot("was given another reason", "awaited")
		w.settle()
		reboot("is down still", "seen")
	})
}

func TestBeingCutOffIsNoReboot(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {witness: 192.0.2.1}\n"
		w.start()
		defer w.stop()
		hear := func() {
			w.senses.news <- health.Heard{Address: netip.MustParseAddr("192.0.2.1"), Asked: time.Now()}
			w.later(0)
		}
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, UntilReboot: true}))
		hear()
		w.later(time.Second)
		w.fall("web1", "timeout after 500ms")
		w.later(5 * time.Second)
		w.fall("web1", "")
		hear()
		w.later(5 * time.Minute)
		if admin := w.status().Servers[0].Admin; admin.State != "drain" || admin.Reboot != "awaited" {
			t.Errorf("the witness was silent as well, and web1 is %+v", admin)
		}
		w.fall("web1", "no route to host")
		w.later(time.Second)
		hear()
		w.later(time.Second)
		if admin := w.status().Servers[0].Admin; admin.Reboot != "seen" {
			t.Errorf("web1 went down and the witness answered, and it is %+v", admin)
		}
	})
}
