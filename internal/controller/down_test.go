package controller_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
)

// A cutOff driver takes routes, and knows that they reach nobody while down is
// set.
type cutOff struct {
	*mem.Driver
	down *atomic.Pointer[error]
}

func (d cutOff) Info() drivers.Info {
	if err := d.down.Load(); err != nil {
		return drivers.Info{Down: *err}
	}
	return drivers.Info{}
}

func TestARouterThatRoutesDoNotReachIsOutOfSync(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var down atomic.Pointer[error]
		why := errors.New("no session is established")
		down.Store(&why)
		w.wrap = func(d *mem.Driver) drivers.Driver { return cutOff{d, &down} }
		w.start()
		defer w.stop()
		w.wantRoutes("edge", w.edge, "web1 web2") // they are there for when it is reached
		edge := w.status().Routers[1]
		if edge.InSync || !strings.Contains(edge.Error, why.Error()) || edge.Retry.IsZero() {
			t.Errorf("status says %+v", edge)
		}
		if w.status().VIPs[0].InSync {
			t.Error("a VIP is in sync, though its routes do not reach a router")
		}
		down.Store(nil)
		w.later(2 * time.Minute)
		if edge = w.status().Routers[1]; !edge.InSync || edge.Error != "" {
			t.Errorf("the session is back, and status says %+v", edge)
		}
	})
}

// openWith is what the router called edge is opened with.
func (w *world) openWith(prefixes []netip.Prefix) drivers.Driver {
	if w.wrap != nil {
		return w.wrap(w.edge.Open(prefixes))
	}
	return w.edge.Open(prefixes)
}
