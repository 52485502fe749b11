package controller_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
)

func TestAWitnessThatFallsSilentIsAnEventAndSoIsItsReturn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = article + "policy: {witness: [192.0.2.1]}\n"
		w.start()
		defer w.stop()
		hear := func() {
			w.senses.news <- health.Heard{Address: netip.MustParseAddr("192.0.2.1"), Asked: time.Now()}
			w.later(0)
		}
		for range 10 {
			hear()
			w.later(time.Second)
		}
		guards := api.EventsRequest{Kinds: []string{"guard"}}
		w.wantEvents(guards)
		w.later(time.Minute)
		w.wantEvents(guards, "warning guard heard > silent")
		hear()
		w.wantEvents(guards, "warning guard heard > silent", "notice guard silent > heard")
	})
}

func TestMovesThatWaitForTheLimitAreAGuardsEvent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = limited
		w.start()
		defer w.stop()
		began := time.Now()
		w.later(time.Second)
		w.fall("web1", "connection refused")
		w.later(2 * time.Minute)
		w.wantEvents(api.EventsRequest{After: began, Routers: []string{"edge"}, Kinds: []string{"guard", "router"}},
			"warning guard edge > holding", "notice guard edge holding > released")
	})
}

func TestADrainThatIsRefusedIsRecorded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.senses.falls("web2", "connection refused", vip1)
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, By: "anna"}); err == nil {
			t.Fatal("the drain is not refused")
		}
		w.wantEvents(api.EventsRequest{Kinds: []string{"admin"}}, "warning admin web1 > refused")
		for event := range w.control.Events(t.Context(), api.EventsRequest{Kinds: []string{"admin"}}) {
			if event.By != "anna" || !strings.HasPrefix(event.Reason, "drain: ") || !strings.Contains(event.Reason, "203.0.113.32/27") {
				t.Errorf("got %+v", event)
			}
		}
	})
}

func TestADrainThatIsForgottenIsRemindedOfOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}, By: "anna"}); err != nil {
			t.Fatal(err)
		}
		w.later(25 * time.Hour)
		reminder := api.EventsRequest{Severity: "warning", Kinds: []string{"admin"}}
		w.wantEvents(reminder, "warning admin web1 drain > forgotten?")
		w.stop()
		w.start()
		defer w.stop()
		w.later(25 * time.Hour)
		w.wantEvents(reminder) // of this life
	})
}

func TestEventsSayHowLongWhatTheyEndHasLasted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.later(90 * time.Second)
		w.senses.falls("web1", "", vip1)
		w.settle()
		if _, err := w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web3"}}); err != nil {
			t.Fatal(err)
		}
		w.later(time.Hour)
		if _, err := w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web3"}}); err != nil {
			t.Fatal(err)
		}
		lasted := map[string]int64{}
		for event := range w.control.Events(t.Context(), api.EventsRequest{Kinds: []string{"verdict", "admin"}}) {
			lasted[event.Kind+" "+event.Server+" "+event.From] = event.LastedMs
		}
		if got := lasted["verdict web1 down"]; got != 90_000 {
			t.Errorf("web1 was down for %d ms", got)
		}
		if got := lasted["admin web3 drain"]; got != 3_600_000 {
			t.Errorf("web3 was drained for %d ms", got)
		}
	})
}

func TestABadFileIsAnEventWithItsProblems(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		defer w.stop()
		w.file = "servers: {}\n"
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{By: "anna"}); err == nil {
			t.Fatal("it is not refused")
		}
		for event := range w.control.Events(t.Context(), api.EventsRequest{Kinds: []string{"config"}}) {
			if event.To != "refused" || event.Severity != "warning" || event.By != "anna" || strings.Count(event.Reason, "site.yaml:") < 2 {
				t.Errorf("got %+v", event)
			}
		}
	})
}

// A talker is a driver with a session.
type talker struct {
	*mem.Driver
	line *line
}

type line struct {
	mu   sync.Mutex
	info drivers.Info
}

func (l *line) becomes(info drivers.Info) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.info = info
}

func (d talker) Info() drivers.Info {
	d.line.mu.Lock()
	defer d.line.mu.Unlock()
	return d.line.info
}

func TestSessionsThatEndAreEventsAndPinsDoNotRepeatThem(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		session := &line{info: drivers.Info{Sessions: []drivers.Session{{Peer: "192.0.2.254", State: "established", Well: true}}}}
		w.wrap = func(d *mem.Driver) drivers.Driver { return talker{d, session} }
		w.start()
		defer w.stop()
		session.becomes(drivers.Info{
			Sessions: []drivers.Session{{Peer: "192.0.2.254", State: "idle", Detail: "hold timer expired"}},
			Problems: []string{"not all sessions are established"},
		})
		w.later(time.Minute)
		if _, err := w.control.Pin(context.Background(), api.PinRequest{VIP: vip1.String(), Server: "web2"}); err != nil {
			t.Fatal(err)
		}
		w.later(time.Minute)
		session.becomes(drivers.Info{Sessions: []drivers.Session{{Peer: "192.0.2.254", State: "established", Well: true}}})
		w.later(time.Minute)
		w.wantEvents(api.EventsRequest{Kinds: []string{"session", "router"}, Routers: []string{"edge"}},
			"info session edge > established", "warning session edge established > idle", "warning router edge > trouble",
			"notice session edge idle > established", "notice router edge trouble > gone")
	})
}
