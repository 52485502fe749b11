package controller_test

import (
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
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
