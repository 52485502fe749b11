package controller_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

func TestADrainIsRefusedThatWouldSendTrafficToAServerThatIsDown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = strings.Replace(article, "backup: web2}", "backup: web2, on_all_down: first_tier}", 1)
		w.start()
		defer w.stop()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge", w.edge, "web2 web2")
		w.refused(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2"}}))("web2 is not drained", "203.0.113.32/27: no server is eligible")
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2"}, Force: true}))
		w.wantRoutes("edge, drained by force,", w.edge, "web2 web3")
		w.senses.falls("web2", "connection refused", vip1)
		w.settle()
		w.wantRoutes("edge, all down,", w.edge, "web1 web3")
	})
}

func TestANewReasonForADrainLeavesItsEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		until := time.Now().Add(2 * time.Hour)
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Until: until}))
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, Reason: "kernel"}))
		if admin := w.status().Servers[0].Admin; admin.Reason != "kernel" || !admin.Until.Equal(until) {
			t.Errorf("the drain is for %q until %s, want for kernel until %s", admin.Reason, admin.Until, until)
		}
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, UntilReboot: true}))
		if admin := w.status().Servers[0].Admin; admin.Reason != "kernel" || !admin.Until.IsZero() || admin.Reboot == "" {
			t.Errorf("with another end the drain is %+v", admin)
		}
	})
}

func TestServersThatAreDrainedAndRebootTogetherFreezeNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool
		w.start()
		defer w.stop()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2", "web3", "web4"}}))
		for _, server := range []topology.ServerName{"web2", "web3", "web4"} {
			w.senses.falls(server, "no route to host", vip1, vip2)
		}
		w.settle()
		if frozen := w.status().Frozen; frozen != "" {
			t.Errorf("frozen by servers that an operator took out of service: %s", frozen)
		}
	})
}

// threeDeep has three servers for the first VIP.
const threeDeep = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13, web4: 192.0.2.14}
checks: {web: {http: {port: 80}, rise: 1, fall: 1}}
vips:
  - {prefix: 203.0.113.32/27, check: web, primary: web1, backup: web2, backup2: web3}
  - {prefix: 203.0.113.64/27, check: web, primary: web2, backup: web3}
routers: {edge: {linux: {}}, core: {linux: {table: 100}}}
`

// A VIP that fails over to a server while that is about to be drained would go on to
// a standby that nobody has looked at.
func TestAVIPThatComesDuringTheProofIsProvenToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = threeDeep
		w.start()
		defer w.stop()
		w.senses.falls("web3", "no VIP", vip1) // as is not known yet
		comes := sync.OnceFunc(func() {
			w.senses.news <- health.Result{Target: health.Target{Server: "web1", VIP: vip1}, Started: time.Now(), Failure: "connection refused"}
			time.Sleep(time.Second)
		})
		w.senses.during = comes
		w.refused(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web2"}}))("203.0.113.32/27", "web3 is down")
		w.wantRoutes("edge, not drained,", w.edge, "web2 web2")
	})
}

// A controller that has just started does not know yet who carries a VIP: a drain waits
// until it has read the routes, or it would be granted of who keeps it.
func TestADrainWaitsUntilRoutesHaveBeenRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.later(time.Second)
		w.stop()
		w.edge.Delay(2 * time.Second)
		w.core.Delay(2 * time.Second)
		w.senses.falls("web2", "connection refused", vip1) // the only standby
		w.start()
		defer w.stop()
		began := time.Now()
		w.refused(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}))("203.0.113.32/27", "web2 is down")
		if took := time.Since(began); took < time.Second {
			t.Errorf("it was refused after %s", took)
		}
		w.wantRoutes("edge, not drained,", w.edge, "web1 web2")
	})
}

// A standby may pass the proof and say with it that it wants no traffic.
func TestAStandbyThatAsksNotToGetTrafficWhenItIsProvenGetsNone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = threeDeep
		w.start()
		defer w.stop()
		w.senses.says = map[health.Target]health.Said{{Server: "web2", VIP: vip1}: {Leave: true}}
		moved := w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}))
		if len(moved.VIPs) != 1 || !slices.Equal(moved.VIPs[0].To, []string{"web3"}) {
			t.Errorf("got %+v, want web3 to get it", moved.VIPs)
		}
		w.wantRoutes("edge, web1 drained,", w.edge, "web3 web2")
	})
}
