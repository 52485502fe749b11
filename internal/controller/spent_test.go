package controller_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// TestTrafficReturnsToWhoIsWellLater holds that an operator's word that traffic
// returns waits for a server that is not well when it is said, though failback be
// manual, and through a restart; and that it is of no use a second time.
func TestTrafficReturnsToWhoIsWellLater(t *testing.T) {
	for name, c := range map[string]struct {
		file  string
		leave func(w *world)
		word  func(w *world) // by now web1 is down
	}{
		"undrain": {"", func(w *world) {
			w.do(w.control.Drain(w.t.Context(), api.DrainRequest{Servers: []string{"web1"}}))
		}, func(w *world) {
			w.do(w.control.Undrain(w.t.Context(), api.UndrainRequest{Servers: []string{"web1"}}))
		}},
		"undrain of one VIP": {"", func(w *world) {
			w.do(w.control.Drain(w.t.Context(), api.DrainRequest{Servers: []string{"web1"}, VIPs: []string{vip1.String()}}))
		}, func(w *world) {
			w.do(w.control.Undrain(w.t.Context(), api.UndrainRequest{Servers: []string{"web1"}, VIPs: []string{vip1.String()}}))
		}},
		"unpin": {"", func(w *world) {
			w.do(w.control.Pin(w.t.Context(), api.PinRequest{VIP: vip1.String(), Server: "web2"}))
		}, func(w *world) {
			w.do(w.control.Unpin(w.t.Context(), api.UnpinRequest{VIP: vip1.String()}))
		}},
		"failback": {"", func(*world) {}, func(w *world) {
			w.do(w.control.Failback(w.t.Context(), api.FailbackRequest{}))
		}},
		"failback to a server": {"", func(*world) {}, func(w *world) {
			w.do(w.control.Failback(w.t.Context(), api.FailbackRequest{Of: []string{"web1"}}))
		}},
		"the end of a maintenance": {`maintenance: [{servers: web1, at: "Sat 00:05", for: 10m}]` + "\n", func(w *world) {
			w.later(6 * time.Minute)
		}, func(w *world) {
			w.later(10 * time.Minute)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.file = article + c.file + "policy: {failback: manual}\n"
				w.start()
				c.leave(w)
				w.fall("web1", "no route to host")
				w.later(time.Second)
				c.word(w)
				w.wantRoutes("edge, web1 still down,", w.edge, "web2 web2")
				if e, err := w.control.Explain(t.Context(), vip1.String()); err != nil || !e.Servers[0].Awaited || !strings.HasSuffix(e.Next[0].What, "then its traffic returns, as an operator asked") {
					t.Errorf("explain says %+v, %v", e, err)
				}
				w.later(10 * time.Minute)
				w.stop()
				w.start()
				defer func() { w.stop() }()
				w.later(10 * time.Minute)
				w.wantRoutes("edge, restarted,", w.edge, "web2 web2")
				w.fall("web1", "")
				w.later(time.Second)
				w.wantRoutes("edge, web1 well,", w.edge, "web1 web2")
				w.fall("web1", "no route to host")
				w.later(time.Second)
				w.stop()
				w.start()
				w.later(time.Second)
				w.fall("web1", "")
				w.later(time.Minute)
				w.wantRoutes("edge, web1 well again, after another failure,", w.edge, "web2 web2")
				if kept, err := os.ReadFile(w.dir + "/state.json"); err != nil || strings.Contains(string(kept), "recalls") {
					t.Errorf("the word has served its purpose, and is kept: %s, %v", kept, err)
				}
			})
		})
	}
}

// TestAFailureAfterTheWordIsAnotherMatterThroughARestart: of a failback of all, web1 is
// still awaited when web2 falls, and the controller is restarted.
func TestAFailureAfterTheWordIsAnotherMatterThroughARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.NewReplacer("backup: web2", "backup: web3", "backup: web3", "backup: web4").Replace(article) + "policy: {failback: manual}\n"
		w.start()
		w.fall("web1", "no route to host")
		w.do(w.control.Failback(t.Context(), api.FailbackRequest{}))
		w.later(time.Minute)
		w.fall("web2", "no route to host")
		w.wantRoutes("edge, both down,", w.edge, "web3 web4")
		w.later(time.Second)
		w.stop()
		w.start()
		defer w.stop()
		w.fall("web1", "")
		w.fall("web2", "")
		w.later(time.Minute)
		w.wantRoutes("edge, both well,", w.edge, "web1 web4")
	})
}

// TestWhoFailsTheProofOfAnUndrainIsAwaited: it was thought to be well until it was checked
// for that.
func TestWhoFailsTheProofOfAnUndrainIsAwaited(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {failback: manual}\n"
		w.start()
		defer w.stop()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}))
		w.senses.falls("web1", "connection refused", vip1)
		w.senses.during = func() { time.Sleep(time.Second) }
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}))
		w.wantRoutes("edge, undrained,", w.edge, "web2 web2")
		w.fall("web1", "")
		w.wantRoutes("edge, web1 well,", w.edge, "web1 web2")
	})
}

func TestAWordThatTrafficReturnsIsGivenUpAfterAnHour(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {failback: manual}\n"
		w.start()
		defer w.stop()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}))
		w.fall("web1", "no route to host")
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}))
		w.later(time.Hour + time.Second)
		w.fall("web1", "")
		w.later(time.Minute)
		w.wantRoutes("edge, an hour later,", w.edge, "web2 web2")
		told := false
		for event := range w.control.Events(t.Context(), api.EventsRequest{}) {
			told = told || event.Kind == api.AdminEvent && event.From == "recalled" && event.Server == "web1"
		}
		if !told {
			t.Error("the journal does not tell that web1 came too late")
		}
	})
}

// TestResumeSurvivesARestart: the losses that an operator let move traffic are found
// anew by the next controller, and may do so still; those after half were back may not.
func TestResumeSurvivesARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool
		w.start()
		fall := func(why string) {
			for _, server := range []topology.ServerName{"web1", "web2", "web3"} {
				w.fall(server, why)
			}
			w.later(time.Second)
		}
		fall("no route to host")
		if w.status().Frozen == "" {
			t.Fatal("most servers fell at once, and nothing is frozen")
		}
		w.do(w.control.Resume(t.Context(), api.ResumeRequest{By: "ann"}))
		w.wantRoutes("edge, resumed,", w.edge, "web4 web4")
		w.stop()
		w.edge.Plant(route(vip1, 1)) // as if it had been told nothing
		w.start()
		defer func() { w.stop() }()
		w.later(time.Second)
		if frozen := w.status().Frozen; frozen != "" {
			t.Errorf("restarted, it is frozen again: %s", frozen)
		}
		w.wantRoutes("edge, restarted,", w.edge, "web4 web4")
		fall("")
		w.later(5 * time.Minute)
		w.wantRoutes("edge, all well,", w.edge, "web1 web1")
		w.stop()
		for _, server := range []topology.ServerName{"web1", "web2", "web3"} {
			w.senses.falls(server, "no route to host", vip1, vip2)
		}
		w.start()
		w.later(time.Second)
		if w.status().Frozen == "" {
			t.Error("all were back, and most are found down by the next controller: nothing is frozen")
		}
	})
}

// Who is to join others of its tier is awaited still when these have fallen, too.
func TestAMemberOfATierIsAwaitedThoughTheOthersFall(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.Replace(article, "primary: web1, backup: web2", "primary: [web1, web2], backup: web3, mode: ecmp, failback: manual", 1)
		w.start()
		defer w.stop()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}))
		w.fall("web1", "no route to host")
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}))
		w.later(time.Minute)
		w.fall("web2", "connection refused")
		w.wantRoutes("edge, nobody left,", w.edge, "web3 web3")
		w.fall("web1", "")
		w.wantRoutes("edge, web1 well,", w.edge, "web1 web3")
	})
}
