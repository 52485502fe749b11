package controller_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// wantPaces fails unless the senses check the servers of the first VIP at these
// paces: "web1 regular, web2 slow".
func (w *world) wantPaces(when, want string) {
	w.t.Helper()
	words := map[health.Pace]string{health.Fast: "fast", health.Regular: "regular", health.Slow: "slow"}
	w.senses.mu.Lock()
	defer w.senses.mu.Unlock()
	var got []string
	for target, pace := range w.senses.paces {
		if target.VIP == vip1 {
			got = append(got, fmt.Sprintf("%s %s", target.Server, words[pace]))
		}
	}
	slices.Sort(got)
	if text := strings.Join(got, ", "); text != want {
		w.t.Errorf("%s: paces %s, want %s", when, text, want)
	}
}

func TestStandbysAreCheckedAtTheirOwnPaceUntilTheyCarryTraffic(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.Replace(article, "fall: 1", "fall: 2", 1)
		w.start()
		defer w.stop()
		w.wantPaces("at rest", "web1 regular, web2 slow")
		w.senses.falls("web2", "timeout after 500ms", vip1)
		w.settle()
		w.wantPaces("the standby is in doubt", "web1 regular, web2 fast")
		w.settle()
		w.wantPaces("the standby is down", "web1 regular, web2 regular")
		w.senses.falls("web2", "", vip1)
		w.settle()
		w.wantPaces("the standby is back", "web1 regular, web2 slow")
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.wantPaces("drained", "web1 slow, web2 regular")
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.wantPaces("reloaded", "web1 slow, web2 regular")
		w.later(61 * time.Second) // well all along, by the failback policy
		if _, err := w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.wantPaces("undrained", "web1 regular, web2 slow")
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.wantPaces("the primary is in doubt", "web1 fast, web2 slow")
		w.settle()
		w.wantPaces("failed over", "web1 regular, web2 regular")
	})
}

func TestWhoCarriesTrafficIsCheckedSoAfterARestartThatMovesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.stop()
		w.start()
		defer w.stop()
		w.wantPaces("restarted", "web1 regular, web2 slow")
	})
}

func TestWhoWaitsForItsTrafficIsCheckedAsIfItHadIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.senses.falls("web1", "", vip1)
		w.settle()
		w.wantPaces("back", "web1 regular, web2 regular")
		w.later(61 * time.Second)
		w.wantPaces("its traffic is back", "web1 regular, web2 slow")
	})
}

// Two that wait for the same hour: the second changes nothing about when to decide next.
func TestTheSecondThatWaitsForAnHourIsCheckedAsTheFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {failback: {after: 60s, between: \"02:00-03:00\", time_zone: UTC}}\n"
		w.start()
		defer w.stop()
		for _, first := range []struct {
			server topology.ServerName
			vip    netip.Prefix
		}{{"web2", vip2}, {"web1", vip1}} {
			w.senses.falls(first.server, "connection refused", first.vip)
			w.settle()
			w.senses.falls(first.server, "", first.vip)
			w.settle()
			w.later(10 * time.Minute)
		}
		w.wantPaces("both wait", "web1 regular, web2 regular")
	})
}

func TestAnUndrainedServerIsCheckedBeforeItsTrafficReturns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.later(61 * time.Second)
		w.senses.falls("web1", "timeout after 500ms (connecting)", vip1) // since the last look at a standby
		moved, err := w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1"}})
		if err != nil || moved.Did != "undrain" {
			t.Fatalf("the undrain answers %+v, %v", moved, err)
		}
		w.wantRoutes("edge", w.edge, "web2 web2")
		if w.edge.Changes() != 3 {
			t.Errorf("%d changes, want those of the start and the drain alone", w.edge.Changes())
		}
		w.senses.falls("web1", "", vip1)
		w.settle()
		w.wantRoutes("edge, once web1 passes,", w.edge, "web2 web2") // by the failback policy
	})
}

func TestWhoIsToHaveTrafficByFailbackOrUnpinIsCheckedBefore(t *testing.T) {
	for name, ask := range map[string]func(*world) (*api.Moved, error){
		"failback": func(w *world) (*api.Moved, error) {
			w.fall("web1", "connection refused")
			w.fall("web1", "")
			w.senses.falls("web1", "HTTP status 503", vip1) // nobody has seen it yet
			return w.control.Failback(w.t.Context(), api.FailbackRequest{})
		},
		"unpin": func(w *world) (*api.Moved, error) {
			w.do(w.control.Pin(w.t.Context(), api.PinRequest{VIP: vip1.String(), Server: "web2"}))
			w.senses.falls("web1", "HTTP status 503", vip1)
			return w.control.Unpin(w.t.Context(), api.UnpinRequest{VIP: vip1.String()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.file = article + "policy: {failback: manual}\n"
				w.start()
				defer w.stop()
				moved := w.do(ask(w))
				w.wantRoutes("edge", w.edge, "web2 web2")
				for _, change := range w.happened("route") {
					if change.VIP == vip1.String() && change.From == "web2" {
						t.Errorf("traffic went to a server that fails: %+v; the answer: %+v", change, moved.VIPs)
					}
				}
			})
		})
	}
}

func TestStandbysThatFailAlikeAreOneWarning(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.Replace(article, "backup: web3", "backup: [web3, web1]", 1) + "policy: {on_all_down: keep}\n"
		w.file = strings.Replace(w.file, "vips:\n", "vips:\n  - {prefix: 203.0.113.96/27, check: web, primary: web1, backup: web3}\n", 1)
		w.start()
		defer w.stop()
		w.senses.falls("web1", "timeout after 500ms (connecting)", vip1, vip2)
		w.settle()
		if got, want := strings.Join(w.status().Warnings, "\n"), "web1 cannot carry 203.0.113.32/27 and 1 more: timeout after 500ms (connecting)"; got != want {
			t.Errorf("warnings\n%s\nwant\n%s", got, want)
		}
	})
}
