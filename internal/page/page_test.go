package page_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/routesteer/routesteer/api"
)

const small = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13, web4: 192.0.2.14}
checks: {web: {http: {port: 80}, rise: 1, fall: 1}, mail: {tcp: 25, rise: 1, fall: 1}}
policy: {failback: {after: 1h}, correlated: act}
vips:
  - {prefix: 203.0.113.32/27, check: web, primary: web1, backup: [web3, web4]}
  - {prefix: 203.0.113.64/27, check: web, primary: web2, backup: [web3, web4]}
  - {name: shop, prefix: 203.0.113.96/32, check: web, primary: [web3, web4], backup: web1, mode: ecmp}
  - {name: customers, prefixes: [198.18.0.0/24, 198.18.1.0/24, 198.18.2.64/26], addresses: [198.18.0.10], check: web, primary: web3, backup: web1}
  - {name: mail, prefix: 203.0.113.97/32, check: mail, primary: web4, backup: web2}
routers: {edge1: {linux: {}}, edge2: {linux: {table: 100}}}
`

func TestAllIsWell(t *testing.T) {
	s := newStage(t, small)
	for name, look := range map[string]screen{"well": desktop, "well-dark": {width: 1440, height: 1000, dark: true}, "well-phone": phone} {
		b := visit(t, s.url, look)
		b.says("All is well")
		b.says("4 of 4 servers up · 7 VIPs served · 2 of 2 routers in sync")
		b.shoot(name)
		b.quiet()
	}
}

// The page is told of an event, asks for the status, and has drawn it.
func TestAFailoverIsSeenAtOnce(t *testing.T) {
	s := newStage(t, small)
	b := visit(t, s.url, desktop)
	b.says("All is well")
	b.says("start of version") // the stream of events has begun
	began := time.Now()
	s.fall("web1", "connection refused")
	b.says("1 server down: web1")
	t.Logf("seen after %v", time.Since(began))
	b.says("web1 is down: connection refused")
	b.until(`document.querySelector('.vips .node.failover .title')?.textContent === '203.0.113.32/27'`)
	b.until(`[...document.querySelectorAll('path.ribbon.failover')].some((path) => path.ends.includes('s:web3') || path.ends.includes('s:web4'))`)
	b.shoot("failover")
	b.quiet()
}

func TestADrainByKeyboardIsPreviewed(t *testing.T) {
	s := newStage(t, small)
	b := visit(t, s.url+"#server=web3", desktop)
	b.says("Carries (2)")
	b.press(kb.Tab + kb.Tab + kb.Enter)
	b.says("this needs a token")
	b.press(token + kb.Enter)
	b.says("4 VIPs would move")
	b.says("web3 → web1")
	b.shoot("drain-preview")
	b.press(kb.Tab)
	b.press(kb.Enter) // the button has the focus again
	b.says("Every router has confirmed.")
	b.shoot("drain-done")
	s.wait("web3 is drained", func(status *api.Status) bool { return status.Servers[2].Admin.State == "drain" })
	b.press(kb.Enter)
	b.says("1 server drained: web3")
	b.until(`document.activeElement.textContent === 'Undrain…' || document.activeElement.textContent === 'Drain…'`)
	b.press(kb.Escape)
	b.until(`document.getElementById('panel').hidden`)
	b.shoot("drained")
	b.quiet()
}
