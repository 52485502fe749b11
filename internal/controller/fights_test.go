package controller_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
)

// fight plants web4's route for vip1 on edge, again and again, as another
// program would.
func (w *world) fight(times int) {
	for range times {
		w.edge.Plant(route(vip1, 4))
		w.later(2 * time.Second)
	}
}

// fighting is what status says of edge.
func (w *world) fighting() []string { return w.status().Routers[1].Fighting }

func TestAFightIsNoticedStoppedAndReported(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.fight(4)
		if got := w.fighting(); len(got) != 0 {
			t.Fatalf("after 4 repairs it calls this a fight: %v", got)
		}
		before := w.edge.Changes()
		w.fight(10)
		if n := w.edge.Changes() - before; n != 1 {
			t.Errorf("%d repairs after the fourth, want 1", n)
		}
		w.wantRoutes("edge", w.edge, "web4 web2")
		status := w.status()
		edge := status.Routers[1]
		if !slices.Equal(edge.Fighting, []string{vip1.String()}) || edge.InSync || edge.Error != "" || edge.Repairs != 5 {
			t.Errorf("status says %+v", edge)
		}
		if text := strings.Join(status.Warnings, "\n"); !strings.Contains(text, "router edge fights with another program for "+vip1.String()) {
			t.Errorf("warnings: %q", text)
		}
		if got := w.events("router", "fighting"); !slices.Equal(got, []string{vip1.String()}) {
			t.Errorf("events of fights: %q, want one", got)
		}
		// The other VIP and the other router are served as ever.
		w.senses.falls("web2", "connection refused", vip2)
		w.settle()
		w.wantRoutes("edge", w.edge, "web4 web3")
		w.wantRoutes("core", w.core, "web1 web3")
	})
}

// events are the VIPs of the events of a kind that lead to a state.
func (w *world) events(kind, to string) (vips []string) {
	w.t.Helper()
	for event, err := range w.control.Events(w.t.Context(), api.EventsRequest{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if event.Kind == kind && event.To == to {
			vips = append(vips, event.VIP)
		}
	}
	return vips
}

func TestAFightIsOverWhenTheOtherProgramGivesIn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.fight(6)
		w.edge.Plant(route(vip1, 1)) // as it is wanted
		w.later(4 * time.Minute)
		if got := w.fighting(); len(got) != 1 {
			t.Errorf("four minutes later it is called over: %v", got)
		}
		w.later(2 * time.Minute)
		if edge := w.status().Routers[1]; len(edge.Fighting) != 0 || !edge.InSync {
			t.Errorf("six minutes later status says %+v", edge)
		}
		w.edge.Plant(route(vip1, 4))
		w.later(time.Second)
		w.wantRoutes("edge, repaired again,", w.edge, "web1 web2")
	})
}

func TestARouteWithAStrangerAmongItsNextHopsIsNotInSync(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		shared := route(vip1, 1)
		shared.NextHops = append(shared.NextHops, route(vip1, 99).NextHops...)
		defer w.edge.Contest(shared)()
		w.edge.Plant(shared)
		w.later(20 * time.Second)
		if vip := w.status().VIPs[0]; vip.InSync {
			t.Errorf("half of it goes to nobody's address, and status says %+v", vip)
		}
	})
}

func TestAFailureStillMovesAPrefixThatIsFoughtFor(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.fight(6)
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge", w.edge, "web2 web2")
		if got := w.fighting(); len(got) != 0 {
			t.Errorf("other next hops are wanted and written, and yet: %v", got)
		}
		// The fight goes on, and is noticed anew.
		w.fight(6)
		w.wantRoutes("edge", w.edge, "web4 web2")
	})
}

func TestWhatIsFoughtForIsNotConfirmed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.fight(6)
		moved, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}})
		if err != nil || !moved.Confirmed {
			t.Fatalf("a drain that is written is not confirmed: %+v, %v", moved, err)
		}
		w.fight(6)
		moved, err = w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web2"}})
		if err != nil || !moved.Unchanged || moved.Confirmed {
			t.Errorf("the other program has taken web2's VIP away, and it is confirmed: %+v, %v", moved, err)
		}
	})
}

func TestPeaceIsNotWorthALostServer(t *testing.T) {
	for name, lose := range map[string]func(*world){
		"down": func(w *world) {
			w.senses.falls("web4", "connection refused", vip1)
			w.settle()
		},
		"drained": func(w *world) {
			if _, err := w.control.Drain(w.t.Context(), api.DrainRequest{Servers: []string{"web4"}}); err != nil {
				w.t.Fatal(err)
			}
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.file = strings.Replace(article, "backup: web2}", "backup: [web2, web4]}", 1)
				w.start()
				defer w.stop()
				w.fight(6)
				w.wantRoutes("edge", w.edge, "web4 web2")
				// The other program sends the traffic to web4. What is wanted stays web1.
				lose(w)
				w.wantRoutes("edge, the server lost,", w.edge, "web1 web2")
				if !w.status().Routers[1].InSync {
					t.Errorf("not in sync: %+v", w.status().Routers[1])
				}
			})
		})
	}
}

func TestAFightEndsByReloadOrQuiet(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*world)
		want string
	}{
		"reload": {func(w *world) {
			if _, err := w.control.Reload(w.t.Context(), api.ReloadRequest{}); err != nil {
				w.t.Fatal(err)
			}
			synctest.Wait()
		}, "web1 web2"},
		"quiet for too short":    {func(w *world) { w.later(4 * time.Minute) }, "web4 web2"},
		"quiet for five minutes": {func(w *world) { w.later(5*time.Minute + 11*time.Second) }, "web1 web2"},
		"not quiet": {func(w *world) {
			for i := range 6 {
				w.edge.Plant(route(vip1, 3+i%2))
				w.later(2 * time.Minute)
			}
		}, "web4 web2"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				defer w.stop()
				w.fight(6)
				c.end(w)
				w.wantRoutes("edge", w.edge, c.want)
				if well := c.want == "web1 web2"; (len(w.fighting()) == 0) != well {
					t.Errorf("fighting: %v", w.fighting())
				}
			})
		})
	}
}

func TestTheQuietTimeDoublesWhileTheFightGoesOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		// A program that asserts its route every ten seconds, for five hours: 5
		// repairs each after 0, 5, 15, 35, 75, 135, … minutes.
		for range 5 * 360 {
			w.edge.Plant(route(vip1, 4))
			w.later(10 * time.Second)
		}
		if repairs := w.status().Routers[1].Repairs; repairs > 8*5 || repairs < 6*5 {
			t.Errorf("%d repairs in five hours", repairs)
		}
	})
}

func TestRareRepairsAreNoFight(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		for range 20 { // four in a minute, for five minutes
			w.edge.Plant(route(vip1, 4))
			w.later(15100 * time.Millisecond)
			w.wantRoutes("edge", w.edge, "web1 web2")
		}
	})
}

func TestAProgramThatOverwritesAtOnceIsAFightToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		before := w.edge.Changes()
		stop := w.edge.Contest(route(vip1, 4))
		w.edge.Plant(route(vip1, 4))
		w.later(10 * time.Minute)
		if n := w.edge.Changes() - before; n > 12 {
			t.Errorf("%d repairs in ten minutes", n)
		}
		if got := w.events("router", "fighting"); len(got) == 0 {
			t.Error("nobody is told")
		}
		stop()
		w.later(time.Hour)
		w.wantRoutes("edge, after the other has stopped,", w.edge, "web1 web2")
	})
}
