package controller_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers/mem"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
)

const twoCards = `
servers: {web1: {addresses: [192.0.2.11, 198.51.100.11]}, web2: 192.0.2.12}
checks: {web: {http: {port: 80}, rise: 1, fall: 1}}
vips:
  - {prefix: 203.0.113.32/27, check: web, primary: web1, backup: web2}
  - {prefix: 203.0.113.64/27, check: web, primary: web2}
routers: {edge: {linux: {}}, core: {linux: {table: 100}}}
`

// TestTheNextHopOfAServerWithTwoCards plays a card that dies and comes back: the
// route follows at once, and returns when the policy says so; the checks go as the
// traffic does; and status tells why.
func TestTheNextHopOfAServerWithTwoCards(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = twoCards
		w.start()
		defer w.stop()
		card1, card2 := netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("198.51.100.11")
		target := health.Target{Server: "web1", VIP: vip1}
		expect := func(when string, address netip.Addr, why string) {
			t.Helper()
			synctest.Wait()
			if got := hopOf(w.edge, vip1); got != address.String() {
				t.Errorf("%s: the route goes to %s, want %s", when, got, address)
			}
			w.senses.mu.Lock()
			inUse := w.senses.inUse[target]
			w.senses.mu.Unlock()
			if inUse != address {
				t.Errorf("%s: checks go by %s, want %s", when, inUse, address)
			}
			if got := w.status().VIPs[0].Why; got != why {
				t.Errorf("%s: status says %q, want %q", when, got, why)
			}
		}
		expect("at the start", card1, "web1 is primary")
		w.senses.news <- health.Found{Server: "web1", Address: card2, At: time.Now()}
		w.senses.news <- health.Found{Server: "web1", Address: card1, At: time.Now()}
		w.later(time.Minute)
		w.senses.news <- health.Loss{Server: "web1", Address: card1, At: time.Now(), Failure: "link lan0 is down"}
		expect("the first card is lost", card2, "web1 is primary; web1 is reached by 198.51.100.11: 192.0.2.11 is lost")
		w.senses.news <- health.Found{Server: "web1", Address: card1, At: time.Now()}
		expect("it is back", card2, "web1 is primary; web1 is reached by 198.51.100.11: 192.0.2.11 is back, and gets its traffic once it has been well for 1m0s")
		w.later(59 * time.Second)
		expect("59 s later", card2, "web1 is primary; web1 is reached by 198.51.100.11: 192.0.2.11 is back, and gets its traffic once it has been well for 1m0s")
		if _, err := w.control.Reload(t.Context(), api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
		w.later(2 * time.Second)
		expect("a minute later", card1, "web1 is primary")
		w.senses.falls("web1", "connection refused", vip1)
		w.settle()
		w.senses.mu.Lock()
		defer w.senses.mu.Unlock()
		if inUse, told := w.senses.inUse[target]; !told || inUse.IsValid() {
			t.Errorf("web1 has no traffic, and its checks go by %s", inUse)
		}
	})
}

// hopOf is the next hop that a router has for a prefix.
func hopOf(router *mem.Router, prefix netip.Prefix) string {
	for _, route := range router.Look() {
		if route.Prefix == prefix {
			return steer.FormatNextHops(route.NextHops)
		}
	}
	return "nowhere"
}
