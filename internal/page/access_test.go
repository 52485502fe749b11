package page_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pale lists texts whose contrast is less than WCAG 2.2 asks for (1.4.3, level AA):
// 4.5, or 3 for large ones. Colours are painted to be known as they are.
const pale = `(() => {
	const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
	const over = (color, under) => {
		canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1);
		canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
		const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
		return 'rgb(' + r + ',' + g + ',' + b + ')';
	};
	const light = (rgb) => {
		const [r, g, b] = rgb.match(/\d+/g).map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const ground = (node) => node ? over(getComputedStyle(node).backgroundColor, ground(node.parentElement)) : 'rgb(255,255,255)';
	const found = [];
	for (const node of document.querySelectorAll('body *')) {
		const text = [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join('');
		if (!text || node.closest('svg, option, :disabled, .visually-hidden, [hidden]') || !node.checkVisibility()) continue;
		const style = getComputedStyle(node);
		const under = ground(node);
		const [a, b] = [light(over(style.color, under)), light(under)].sort((x, y) => y - x);
		const size = parseFloat(style.fontSize);
		const needs = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
		if ((a + .05) / (b + .05) < needs) found.push(text.slice(0, 30) + ' ' + ((a + .05) / (b + .05)).toFixed(2));
	}
	return [...new Set(found)];
})()`

// small marks are hard to hit: WCAG 2.2, 2.5.8, level AA, but for links in a line.
const tiny = `[...document.querySelectorAll('button, select, input, a')].filter((e) => e.checkVisibility() && !e.matches('.link, .skip, [type=checkbox], #scrubber'))
	.filter((e) => { const { width, height } = e.getBoundingClientRect(); return width < 24 || height < 24; }).map((e) => e.outerHTML.slice(0, 80))`

func TestEverybodyCanReadIt(t *testing.T) {
	s := newStage(t, small)
	everything(s)
	b := visit(t, s.url+"#server=web4", desktop)
	b.says("1 VIP without a server: mail")
	b.says("Drained by ann")
	for _, look := range []screen{desktop, {width: 1440, height: 1000, dark: true}, phone, {width: 360, height: 780, phone: true, dark: true}} {
		b.become(look)
		if found := eval[[]string](b, pale); len(found) > 0 {
			t.Errorf("%+v: too pale: %q", look, found)
		}
		if found := eval[[]string](b, tiny); len(found) > 0 {
			t.Errorf("%+v: too small: %q", look, found)
		}
		b.fits()
		b.shoot("panel" + map[bool]string{true: "-dark"}[look.dark] + map[bool]string{true: "-phone"}[look.phone])
	}
	b.become(desktop)
	nameless(b)
	b.press(kb.Escape)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-view=table]').click()`))
	b.shoot("table")
	nameless(b)
}

// nameless fails if a control has no name that a screen reader could say.
func nameless(b *tab) {
	b.t.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	controls := []string{"button", "textbox", "searchbox", "combobox", "slider", "checkbox", "link", "dialog", "region", "complementary", "table", "heading", "list"}
	seen := 0
	for _, node := range tree.Nodes {
		if node.Ignored || node.Role == nil || !slices.Contains(controls, word(node.Role)) || word(node.Role) == "list" {
			continue
		}
		seen++
		if strings.TrimSpace(word(node.Name)) == "" {
			b.t.Errorf("a %s has no name: %+v", word(node.Role), node.BackendDOMNodeID)
		}
	}
	if seen < 20 {
		b.t.Errorf("only %d controls were seen", seen)
	}
}

// word is a text of the tree.
func word(value *accessibility.Value) string {
	if value == nil {
		return ""
	}
	return strings.Trim(string(value.Value), `"`)
}

// The table says what the drawing does, VIP by VIP.
func TestTheTableIsAsGoodAsTheDrawing(t *testing.T) {
	s := newStage(t, small)
	s.fall("web1", "connection refused")
	b := visit(t, s.url, desktop)
	b.says("1 server down: web1")
	drawn := eval[[]string](b, `[...document.querySelectorAll('.vips .node')].map((n) => n.querySelector('.title').textContent)`)
	b.ready()
	b.press("t")
	b.until(`!document.getElementById('table').hidden`)
	rows := eval[[]string](b, `[...document.querySelectorAll('#table table')[0].querySelectorAll('tbody tr')].map((row) => row.innerText)`)
	if len(rows) != len(drawn) || len(rows) == 0 {
		t.Fatalf("drawn are %q, the table has %q", drawn, rows)
	}
	for i, row := range rows {
		if !strings.Contains(row, drawn[i]) {
			t.Errorf("row %d is %q, drawn is %s", i, row, drawn[i])
		}
		if lost := drawn[i] == "203.0.113.32/27"; lost != strings.Contains(row, "failed over") {
			t.Errorf("the table says %q", row)
		}
	}
}

// By the Tab key alone one gets everywhere, and sees where one is.
func TestTheKeyboardReachesEverything(t *testing.T) {
	s := newStage(t, small)
	b := visit(t, s.url, desktop)
	b.says("All is well")
	b.ready()
	all := eval[int](b, `[...document.querySelectorAll('button, input, select, a')].filter((e) => e.checkVisibility() && !e.disabled).length`)
	b.do(chromedp.Evaluate[chromedp.Void](`window.met = new Set(); window.unseen = []; addEventListener('focusin', (e) => {
		met.add(e.target);
		const style = getComputedStyle(e.target);
		if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) unseen.push(e.target.outerHTML.slice(0, 80));
	})`))
	b.press(strings.Repeat(kb.Tab, all+2))
	b.until(`met.size > 0`)
	if met := eval[int](b, `met.size`); met < all {
		t.Errorf("Tab met %d of %d", met, all)
	}
	if unseen := eval[[]string](b, `unseen`); len(unseen) > 0 {
		t.Errorf("the focus cannot be seen on %q", unseen)
	}
	b.press("?")
	b.says("Keyboard shortcuts")
	b.press(kb.Escape)
	b.until(`!document.querySelector('dialog')`)
	b.press("/")
	b.until(`document.activeElement.id === 'search'`)
	b.press(kb.Escape)      // the driver types the letter besides, which a keyboard does not
	b.press("203.0.113.40") // an address of a subnet
	b.says("1 VIP of 5 shown")
	b.press(kb.Enter)
	b.until(`location.hash === '#vip=203.0.113.32%2F27'`)
}
