package controller_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
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
