package page_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/steer"
)

// garbage is what a server, a router or an operator may say.
const garbage = `"><img src=x onerror="window.hurt=1"><script>window.hurt=2</script>{{7*7}}` + "\u202e\x07"

// Whatever is told is shown as it is, and nothing of it runs: not in the picture, the
// time line, the panels or the dialogs.
func TestWhatIsToldIsTextAndNothingElse(t *testing.T) {
	s := newStage(t, small)
	s.fall("web1", garbage)
	s.routers["edge1"].Plant(steer.Route{Prefix: prefix("203.0.113.97/32"), Foreign: true, Detail: garbage})
	s.must(s.control.Drain(s.t.Context(), api.DrainRequest{Servers: []string{"web3"}, Reason: garbage, By: garbage, Force: true}))
	b := visit(t, s.url, desktop)
	b.says("1 server down: web1")
	b.says(`web1 is down: "><img src=x onerror=`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-view=table]').click()`))
	b.says(`"><img src=x onerror=`)
	for _, what := range []string{"#server=web1", "#server=web3", "#vip=203.0.113.97%2F32", "#router=edge1", `#vip=%22%3E%3Cimg%20src%3Dx%20onerror%3D%22window.hurt%3D1%22%3E`} {
		b.do(chromedp.Evaluate[chromedp.Void](`location.hash = '` + what + `'`))
		b.until(`!document.getElementById('panel').hidden && document.querySelector('#panel .body').childElementCount > 0`)
	}
	b.says("no VIP") // of that name
	if hurt := eval[bool](b, `'hurt' in window || document.querySelector('body img, body script, body iframe') !== null`); hurt {
		t.Error("something of it became a part of the page")
	}
}

// What is old is not mistaken for what is, and nobody has to load the page again.
func TestALostControllerIsSeenAndItsReturnToo(t *testing.T) {
	s := newStage(t, small)
	b := visit(t, s.url, desktop)
	b.says("All is well")
	b.ready()
	s.hide()
	b.says("No word from the controller: what is below may be out of date.")
	b.says("When last heard, at ")
	b.until(`getComputedStyle(document.querySelector('main')).filter === 'grayscale(1)'`)
	b.shoot("lost")
	s.fall("web1", "connection refused")
	s.serve()
	b.says("1 server down: web1")
	b.until(`document.body.dataset.link === 'live' && document.getElementById('lost').hidden`)
	b.says("up → down") // the events that it missed
}

func TestWhoMayNotLookIsAskedForAToken(t *testing.T) {
	s := newStage(t, small)
	s.reload("read: token, ")
	b := visit(t, s.url, desktop)
	b.says("The controller shows this page only to who has a token.")
	b.until(`document.activeElement.name === 'token'`)
	b.shoot("token")
	b.press(token + "\r")
	b.says("All is well")
	if kept := eval[int](b, `sessionStorage.length + localStorage.length + document.cookie.length`); kept != 0 {
		t.Error("the token was kept, though nobody asked for that")
	}
	if at := eval[string](b, `location.href`); at != s.url+"/" {
		t.Errorf("the address is %s", at)
	}
}
