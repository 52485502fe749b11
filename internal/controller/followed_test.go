package controller_test

import (
	"strings"
	"testing"

	"github.com/routesteer/routesteer/api"
)

const shop = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13}
checks: {web: {http: {port: 80}, rise: 1, fall: 1, through: address}}
vips: [{name: shop, prefixes: [203.0.113.64/27], check: web, primary: web1, backup: [web2, web3]}]
routers: {edge: {linux: {}}, core: {linux: {table: 100}}}
`

func (w *world) reload(file string) {
	w.t.Helper()
	w.file = file
	if _, err := w.control.Reload(w.t.Context(), api.ReloadRequest{}); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
}

// TestWhatIsAskedOfAVIPFollowsItsEntry has an entry get another first prefix, and lose
// it again.
func TestWhatIsAskedOfAVIPFollowsItsEntry(t *testing.T) {
	wider := strings.Replace(shop, "[203.0.113.64/27]", "[203.0.113.32/27, 203.0.113.64/27]", 1)
	for name, ask := range map[string]func(*world) (*api.Moved, error){
		"a pin": func(w *world) (*api.Moved, error) {
			return w.control.Pin(w.t.Context(), api.PinRequest{VIP: "shop", Server: "web2"})
		},
		"a drain": func(w *world) (*api.Moved, error) {
			return w.control.Drain(w.t.Context(), api.DrainRequest{Servers: []string{"web1", "web3"}, VIPs: []string{"shop"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.file = shop
				w.start()
				w.do(ask(w))
				w.wantRoutes("edge", w.edge, "- web2")
				w.reload(wider)
				w.wantRoutes("edge, of two prefixes,", w.edge, "web2 web2")
				if vip := w.status().VIPs[0]; vip.Pin == nil && len(vip.Off) == 0 {
					t.Error("status does not tell what is asked of the VIP")
				}
				w.stop()
				w.start()
				defer w.stop()
				w.wantRoutes("edge, restarted,", w.edge, "web2 web2")
				w.reload(shop)
				if vip := w.status().VIPs[0]; vip.Pin == nil && len(vip.Off) == 0 {
					t.Error("with the former file again, nothing is asked of the VIP")
				}
				w.reload(wider)
				w.do(w.control.Unpin(t.Context(), api.UnpinRequest{VIP: "203.0.113.64/27"}))
				w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1", "web3"}, VIPs: []string{"203.0.113.64/27"}}))
				if vip := w.status().VIPs[0]; vip.Pin != nil || len(vip.Off) != 0 {
					t.Errorf("still asked: %+v, %+v", vip.Pin, vip.Off)
				}
			})
		})
	}
}

func TestWhatTheFileKnowsNoLongerIsToldAndCanBeForgotten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = pool
		w.start()
		defer w.stop()
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web4"}}))
		w.do(w.control.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1", "web4"}, VIPs: []string{vip1.String()}}))
		w.do(w.control.Pin(t.Context(), api.PinRequest{VIP: vip1.String(), Server: "web3"}))
		w.reload(shop)
		w.warned("web4 is drained, which site.yaml does not know: `routesteer undrain web4` forgets it",
			"web1 is drained of 203.0.113.32/27, which", "`routesteer undrain web4 --vip 203.0.113.32/27` forgets it",
			"203.0.113.32/27 is pinned, which site.yaml does not know: `routesteer unpin 203.0.113.32/27` forgets it")
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web4"}}))
		w.do(w.control.Undrain(t.Context(), api.UndrainRequest{Servers: []string{"web1", "web4"}, VIPs: []string{"203.0.113.32/27"}}))
		w.do(w.control.Unpin(t.Context(), api.UnpinRequest{VIP: "203.0.113.32/27"}))
		if warnings := w.status().Warnings; len(warnings) != 0 {
			t.Errorf("forgotten, and still: %q", warnings)
		}
	})
}
