package page_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
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

// How soon, TestALargeSiteIsUpToDateAtOnce measures.
func TestAFailoverIsSeen(t *testing.T) {
	s := newStage(t, small)
	b := visit(t, s.url, desktop)
	b.says("All is well")
	b.ready()
	s.fall("web1", "connection refused")
	b.says("1 server down: web1")
	b.says("web1 is down: connection refused")
	b.until(`document.querySelector('.vips .node.failover .title')?.textContent === '203.0.113.32/27'`)
	b.until(`[...document.querySelectorAll('path.ribbon.failover')].some((path) => path.ends.includes('s:web3') || path.ends.includes('s:web4'))`)
	b.shoot("failover")
}

func TestADrainByKeyboardIsPreviewed(t *testing.T) {
	s := newStage(t, small)
	b := visit(t, s.url+"#server=web3", desktop)
	b.says("All of them pass.")
	b.press(kb.Tab + kb.Tab + kb.Enter) // the title has the focus, then Close, then Drain
	b.says("this needs a token")
	b.press(token + kb.Enter)
	b.says("4 VIPs would move")
	b.says("web3 → web1")
	b.shoot("drain-preview")
	if admin := s.wait("it is asked", func(*api.Status) bool { return true }).Servers[2].Admin; admin.State != "ready" {
		t.Errorf("a preview did something: %+v", admin)
	}
	b.until(`document.activeElement.name === 'reason'`) // the token's dialog gives the focus back
	b.press("new kernel")
	b.until(`document.activeElement.value === 'new kernel'`)
	b.mayGo()
	b.press(kb.Enter)
	b.says("Every router has confirmed.")
	b.shoot("drain-done")
	status := s.wait("web3 is drained", func(status *api.Status) bool { return status.Servers[2].Admin.State == "drain" })
	if admin := status.Servers[2].Admin; admin.By != "token:alice" || admin.Reason != "new kernel" {
		t.Errorf("it was drained %+v", admin)
	}
	b.press(kb.Enter)
	b.says("1 server drained: web3")
	b.until(`document.activeElement.textContent === 'Undrain…'`) // the focus is where it was
	b.shoot("drained-panel")
	b.press(kb.Escape)
	b.until(`document.getElementById('panel').hidden`)
	b.shoot("drained")
}

// What the controller would refuse is said before it is asked for, and what it does
// refuse in its own words.
func TestARefusalIsToldAsItIs(t *testing.T) {
	s := newStage(t, small)
	s.fall("web2", "connection refused")
	b := visit(t, s.url+"#server=web4", desktop)
	b.says("All of them pass.")
	b.press(kb.Tab + kb.Tab + kb.Enter)
	b.says("this needs a token")
	b.press("this-is-nobodys-token" + kb.Enter)
	b.says("the token is not one of http.tokens")
	b.press(token + kb.Enter)
	b.says("The controller would refuse this:")
	b.says("203.0.113.97/32")
	b.until(`document.querySelector('dialog form[data-judged] > .acts button[type=submit]:disabled')`)
	b.shoot("refused-preview")
	b.do(chromedp.Click(chromedp.CSS(`dialog input[name=force]`)))
	b.mayGo()
	b.do(chromedp.Click(chromedp.CSS(`dialog button[type=submit]`)))
	b.says("Every router has confirmed.")
	b.press(kb.Enter)
	b.says("1 VIP without a server: mail")
}

func TestAVIPIsExplainedAndPinned(t *testing.T) {
	s := newStage(t, small)
	s.fall("web1", "connection refused")
	b := visit(t, s.url+"#vip=203.0.113.32%2F27", desktop)
	for _, text := range []string{"failed over", "web1 is down: connection refused", "spare", "edge1 sends it to", "after 1h"} {
		b.says(text)
	}
	b.shoot("explain")
	b.do(chromedp.Click(chromedp.CSS(`#panel .acts button`)))
	b.says("this needs a token")
	b.press(token + kb.Enter)
	b.says("would move")
	b.mayGo()
	b.do(chromedp.Click(chromedp.CSS(`dialog button[type=submit]`)))
	b.says("Every router has confirmed.")
	b.press(kb.Enter)
	b.says("1 VIP pinned: 203.0.113.32/27")
	b.says("Unpin…")
}

func TestTheSliderTakesThePageBack(t *testing.T) {
	s := newStage(t, small)
	b := visit(t, s.url, desktop)
	b.says("All is well")
	s.fall("web1", "connection refused")
	b.says("1 server down: web1")
	b.says("up → down")
	// As far back as before the fall, and after the start.
	status := s.wait("it is down", func(status *api.Status) bool { return status.Servers[0].Health == "down" })
	then := status.Servers[0].Since.Add(-100 * time.Millisecond).UnixMilli()
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const slider = document.getElementById('scrubber');
		document.getElementById('span').value = '900';
		document.getElementById('span').dispatchEvent(new Event('change'));
		slider.max = '900000'; slider.value = String(900000 - (Date.now() - %d)); slider.dispatchEvent(new Event('input'));
	})()`, then)))
	b.says("as events tell it")
	b.says("All is well")
	b.shoot("past")
	b.press("n")
	b.says("1 server down: web1")
}
