package controller_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
)

// thousand is a site with an entry of a thousand prefixes.
func thousand() string {
	var text strings.Builder
	text.WriteString(`
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13}
checks: {default: {http: {port: 80}, rise: 1, fall: 1}}
routers: {edge: {linux: {}}}
vips:
- name: customers
  primary: web1
  backup: web2
  prefixes:
`)
	for i := range 1000 {
		fmt.Fprintf(&text, "  - %s\n", thousandth(i))
	}
	return text.String()
}

func thousandth(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)}), 32)
}

// inThousand runs a test in a world with that site.
func inThousand(t *testing.T, f func(t *testing.T, w *world)) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = thousand()
		f(t, w)
	})
}

// wantAll fails unless the router sends so many prefixes to the server.
func (w *world) wantAll(server, want int) {
	w.t.Helper()
	got := 0
	for _, r := range w.edge.Look() {
		if !r.Foreign && steer.FormatNextHops(r.NextHops) == fmt.Sprintf("192.0.2.1%d", server) {
			got++
		}
	}
	if got != want {
		w.t.Errorf("%d prefixes go to web%d, want %d", got, server, want)
	}
}

// happened returns the events of a kind.
func (w *world) happened(kind string) []api.Event {
	var all []api.Event
	for event := range w.control.Events(w.t.Context(), api.EventsRequest{}) {
		if event.Kind == kind {
			all = append(all, event)
		}
	}
	return all
}

func TestACohortMovesInOneStepAndIsToldOnce(t *testing.T) {
	inThousand(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.wantAll(1, 1000)
		first := thousandth(0)
		w.senses.falls("web1", "connection refused", first)
		w.settle()
		w.wantAll(2, 1000)
		for _, kind := range []string{"verdict", "assignment", "route"} {
			events := w.happened(kind)
			last := events[len(events)-1]
			if last.VIP != first.String() || last.VIPs != 1000 || len(events) > 3 {
				t.Errorf("%d %s events, the last %+v; want few, for 1000 prefixes", len(events), kind, last)
			}
		}
		status := w.status()
		if len(status.VIPs) != 1 || len(status.VIPs[0].Prefixes) != 1000 || len(status.VIPs[0].Routes) != 1 || !status.VIPs[0].InSync || status.Routers[0].Routes != 1000 {
			t.Errorf("status does not show one entry of 1000 prefixes in sync: %d rows, %+v", len(status.VIPs), status.Routers)
		}
		if targets := status.Servers[0].Targets; len(targets) != 1 || targets[0].VIPs != 1000 || targets[0].Health != "down" {
			t.Errorf("web1 is judged %+v, want once, for 1000 VIPs", targets)
		}
	})
}

func TestAPrefixThatDiffersFromItsCohortIsPutRightAlone(t *testing.T) {
	inThousand(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		before := w.edge.Changes()
		w.edge.Take(thousandth(7))
		w.edge.Plant(route(thousandth(9), 2))
		w.later(time.Second)
		w.wantAll(1, 1000)
		if n := w.edge.Changes() - before; n != 2 {
			t.Errorf("%d changes for two prefixes that differed", n)
		}
	})
}

func TestAForeignRouteKeepsNoOtherPrefixOfItsCohort(t *testing.T) {
	inThousand(t, func(t *testing.T, w *world) {
		foreign := route(thousandth(500), 3)
		foreign.Foreign = true
		w.edge.Plant(foreign)
		w.start()
		defer w.stop()
		w.wantAll(1, 999)
		vip := w.status().VIPs[0]
		if len(vip.Routes) != 2 || vip.Routes[0].Prefixes != 999 || vip.Routes[1].Prefixes != 1 || !vip.Routes[1].Foreign || vip.InSync {
			t.Errorf("status shows the routes %+v, in sync: %t", vip.Routes, vip.InSync)
		}
		w.senses.falls("web1", "connection refused", thousandth(0))
		w.settle()
		w.wantAll(2, 999)
	})
}

func TestAStartFindsACohortWithMostOfItsPrefixes(t *testing.T) {
	inThousand(t, func(t *testing.T, w *world) {
		for i := range 1000 {
			w.edge.Plant(route(thousandth(i), 1+min(1, i/400)))
		}
		w.start()
		defer w.stop()
		w.wantAll(2, 1000)
		if n := w.edge.Changes(); n != 400 {
			t.Errorf("%d changes, want those of the 400 prefixes that were elsewhere", n)
		}
	})
}

func TestAReloadThatAddsAPrefixMovesNoOther(t *testing.T) {
	inThousand(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.senses.falls("web1", "connection refused", thousandth(0))
		w.settle()
		w.file += "  - 10.63.0.1\n" // lower than all others: the entry has another first prefix now
		before := w.edge.Changes()
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.later(time.Second)
		w.wantAll(2, 1001)
		if n := w.edge.Changes() - before; n != 1 {
			t.Errorf("%d changes, want that of the new prefix", n)
		}
	})
}

func TestVIPsThatAreJudgedAlikeFollowOneVerdict(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.Replace(article, "rise: 1", "through: address, rise: 1", 1)
		w.start()
		defer w.stop()
		w.wantRoutes("edge", w.edge, "web1 web2")
		if targets := len(w.status().Servers[1].Targets); targets != 1 {
			t.Errorf("web2 is judged %d times, want once for both VIPs", targets)
		}
		w.senses.falls("web2", "connection refused", vip1) // vip1's is the verdict for both
		w.settle()
		w.wantRoutes("edge", w.edge, "web1 web3")
		if vip := w.status().VIPs[1]; vip.JudgedAs != vip1.String() || vip.Wanted[0] != "web3" {
			t.Errorf("status says %+v", vip)
		}
	})
}

func TestResultsOfNoJudgeAreNotTaken(t *testing.T) {
	inThousand(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.senses.news <- health.Result{Target: health.Target{Server: "web1", VIP: thousandth(5)}, Started: time.Now(), Failure: "connection refused"}
		w.settle()
		w.wantAll(1, 1000)
	})
}
