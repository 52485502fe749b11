package controller_test

import (
	"testing"

	"github.com/routesteer/routesteer/steer"
)

// TestARouterWithoutWeightsSharesAlike holds that a router that cannot share by
// weight is asked for what it can do, and is then in sync.
func TestARouterWithoutWeightsSharesAlike(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.file = `
servers: {web1: {address: 192.0.2.11, weight: 3}, web2: 192.0.2.12}
vips: [{prefix: 203.0.113.1, primary: [web1, web2], mode: ecmp}]
routers:
  edge: {cisco: {address: 192.0.2.1, key_file: /key}}
  core: {linux: {}}
`
		w.start()
		defer w.stop()
		w.settle()
		for name, want := range map[string]string{"edge": "192.0.2.11, 192.0.2.12", "core": "192.0.2.11 weight 3, 192.0.2.12 weight 1"} {
			router := w.edge
			if name == "core" {
				router = w.core
			}
			routes := router.Look()
			if len(routes) != 1 || steer.FormatNextHops(routes[0].NextHops) != want {
				t.Errorf("%s has %v, want %s", name, routes, want)
			}
		}
		for _, router := range w.status().Routers {
			if !router.InSync {
				t.Errorf("%s is not in sync: %s", router.Name, router.Error)
			}
		}
	})
}
