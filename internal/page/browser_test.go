package page_test

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

var shots = flag.String("shots", "", "a directory for pictures of the scenes that the tests pass")

// chromium is the one browser of all tests; it is started by the first that needs it.
var chromium = sync.OnceValues(startChromium)

func startChromium() (context.Context, error) {
	data, err := os.MkdirTemp("", "routesteer-page-")
	if err != nil {
		return nil, err
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.UserDataDir(data), chromedp.NoFirstRun, chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
	}
	allocator, stopBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	browser, _ := chromedp.NewContext(allocator)
	closeBrowser = func() {
		_ = chromedp.Cancel(browser)
		stopBrowser()
		os.RemoveAll(data)
	}
	if err := chromedp.Do(browser); err != nil {
		return nil, fmt.Errorf("start Chromium, which scripts/test-tools installs: %w", err)
	}
	return browser, nil
}

// closeBrowser ends the browser, if there is one.
var closeBrowser = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	closeBrowser()
	os.Exit(code)
}

// A tab is one visit of the page.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu        sync.Mutex
	complains []string // of the console, and of the Content-Security-Policy
}

// A screen is how large a tab is, and how it likes its colours.
type screen struct {
	width, height int
	dark, phone   bool
	lively        bool // likes things that move
}

var desktop, phone = screen{width: 1440, height: 1000}, screen{width: 360, height: 780, phone: true}

// visit opens an address in a new tab.
func visit(t *testing.T, address string, look screen) *tab {
	t.Helper()
	browser, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser)
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		b.quiet()
		if t.Failed() {
			b.shoot("failed-" + strings.ReplaceAll(t.Name(), "/", "-"))
		}
		stop()
		cancel()
	})
	b.do() // opens the tab
	go b.listen(chromedp.Console(ctx))
	b.do(
		metrics(look),
		chromedp.Navigate(address),
	)
	return b
}

// become makes the tab's screen another one.
func (b *tab) become(look screen) {
	b.t.Helper()
	b.do(metrics(look))
	b.until(fmt.Sprintf(`innerWidth === %d && matchMedia('(prefers-color-scheme: dark)').matches === %t`, look.width, look.dark))
}

// fits fails if anything is wider than the screen.
func (b *tab) fits() {
	b.t.Helper()
	b.until(`document.querySelector('#drawing').clientWidth < innerWidth`)
	wide := eval[[]string](b, `document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 90)).slice(0, 8)`)
	if len(wide) > 0 {
		b.t.Errorf("wider than the screen: %q", wide)
	}
}

// metrics makes the tab's screen so.
func metrics(look screen) chromedp.Action[chromedp.Void] {
	scheme, scale, motion := "light", 1.0, "reduce"
	if look.dark {
		scheme = "dark"
	}
	if look.phone {
		scale = 2
	}
	if look.lively {
		motion = "no-preference"
	}
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: int64(look.width), Height: int64(look.height), DeviceScaleFactor: scale, Mobile: look.phone,
		})
		if err != nil {
			return chromedp.Void{}, err
		}
		_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion}},
		})
		return chromedp.Void{}, err
	}
}

// listen keeps what the browser complains of. That it could not load something, or
// that an answer was no success, is no fault of the page's.
func (b *tab) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for message, err := range messages {
		if err != nil {
			return
		}
		if strings.HasPrefix(message.Text, "Failed to load resource") {
			continue
		}
		b.mu.Lock()
		b.complains = append(b.complains, message.Text)
		b.mu.Unlock()
	}
}

// quiet fails if the browser complained.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complains) > 0 {
		b.t.Errorf("the browser complains: %q", b.complains)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns what an expression, or what it promises, is.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits until an expression is true, which is looked at in each pause of the page.
func (b *tab) until(expression string) {
	b.t.Helper()
	const wait = `new Promise((done) => {
		const end = performance.now() + 30000;
		const look = () => (%s) ? done(true) : performance.now() > end ? done(false) : setTimeout(look, 5);
		look();
	})`
	if !eval[bool](b, fmt.Sprintf(wait, expression)) {
		b.t.Fatalf("never true: %s; the page says:\n%s", expression, eval[string](b, `document.body.innerText.slice(0, 3000)`))
	}
}

// says waits until the page shows a text.
func (b *tab) says(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.body.innerText.includes(%q)`, text))
}

// ready waits until all of the page is here, and what happened before is known.
func (b *tab) ready() {
	b.t.Helper()
	b.until(`document.body.dataset.desk && document.querySelector('#events li')`)
}

// mayGo waits until a dialog can be confirmed.
func (b *tab) mayGo() {
	b.t.Helper()
	b.until(`document.querySelector('dialog form > .acts button[type=submit]:enabled')`)
}

// press types keys where the focus is.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// shoot keeps a picture of the page, two screens of it, if -shots asks for pictures.
func (b *tab) shoot(name string) {
	if *shots == "" {
		return
	}
	size := eval[[]float64](b, `new Promise((done) => setTimeout(() => done([innerWidth, Math.max(innerHeight, Math.min(2.2 * innerHeight, document.documentElement.scrollHeight))]), 450))`)
	beyond := true
	picture, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: &beyond, Clip: &page.Viewport{Width: size[0], Height: size[1], Scale: 1},
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(*shots, name+".png"), picture.Data, 0o644)
	}
	if err != nil {
		b.t.Log(err)
	}
}
