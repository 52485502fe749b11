package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

// A watched is a top on a terminal of 100 columns that a test looks at.
type watched struct {
	t        *testing.T
	mu       sync.Mutex
	out      bytes.Buffer // guarded by mu
	height   int
	operator *patchy
	events   chan api.Event
	keys     chan key
	resized  chan os.Signal
}

// onTop runs a top in a bubble of fake time while during looks at it.
func onTop(t *testing.T, during func(w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{t: t, height: 30, operator: newPatchy(),
			events: make(chan api.Event), keys: make(chan key), resized: make(chan os.Signal)}
		status, err := w.operator.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		screen := &screen{out: w, size: func() (int, int) { return 100, w.height }, style: show.Style{Zone: time.UTC}}
		go func() { ended <- newTopper(w.operator, status).run(ctx, screen, w.events, w.keys, w.resized) }()
		synctest.Wait()
		during(w)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (w *watched) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(data)
}

// seen is what stands on the terminal now.
func (w *watched) seen() []string {
	synctest.Wait()
	w.mu.Lock()
	all := w.out.String()
	w.mu.Unlock()
	last := all[strings.LastIndex(all, home)+len(home):]
	return strings.Split(strings.NewReplacer(eraseLine, "", eraseBelow, "", "\r", "").Replace(last), "\n")
}

func (w *watched) press(keys ...key) {
	for _, k := range keys {
		w.keys <- k
	}
}

// has and hasNot look for words anywhere on the terminal.
func (w *watched) has(word string) {
	w.t.Helper()
	if lines := w.seen(); !strings.Contains(strings.Join(lines, "\n"), word) {
		w.t.Errorf("%q is not to be seen:\n%s", word, strings.Join(lines, "\n"))
	}
}

func (w *watched) hasNot(word string) {
	w.t.Helper()
	if lines := w.seen(); strings.Contains(strings.Join(lines, "\n"), word) {
		w.t.Errorf("%q is to be seen:\n%s", word, strings.Join(lines, "\n"))
	}
}

func TestTopFillsTheTerminal(t *testing.T) {
	onTop(t, func(w *watched) {
		for _, height := range []int{30, 12, 5} {
			w.height = height
			w.resized <- nil
			lines := w.seen()
			if len(lines) != height || !strings.HasSuffix(lines[height-1], "q quit") {
				t.Errorf("%d lines of %d:\n%s", len(lines), height, strings.Join(lines, "\n"))
			}
		}
	})
}

func TestTopShowsEventsAndTheStateAfterThem(t *testing.T) {
	onTop(t, func(w *watched) {
		w.hasNot("drained by anna")
		if _, err := w.operator.Drain(t.Context(), api.DrainRequest{Servers: []string{"web1"}}); err != nil {
			t.Fatal(err)
		}
		w.events <- api.Event{Time: started, Kind: "admin", Server: "web1", From: "ready", To: "drain", By: "anna"}
		w.has("ready -> drain   by anna")
		pass(2 * watchCalm)
		w.has("drained by anna")
	})
}

func TestTopShowsOnlyWhatIsLookedFor(t *testing.T) {
	onTop(t, func(w *watched) {
		w.press("/", "w", "e", "b", "3", keyBackspace, "2")
		w.has("/web2_")
		w.has("web2")
		w.hasNot("web1    up")
		w.press(keyEnter)
		w.has("only rows with web2")
		w.press(keyEscape)
		w.has("web1    up")
	})
}

func TestTopScrolls(t *testing.T) {
	onTop(t, func(w *watched) {
		w.height = 8
		w.resized <- nil
		first := w.seen()
		w.press("j", keyDown)
		if moved := w.seen(); !slices.Equal(moved[:2], first[2:4]) {
			t.Errorf("after two lines down %q, before %q", moved, first)
		}
		w.press(keyPageDown, keyPageDown, keyPageDown)
		w.hasNot("more lines below")
		w.press("k", keyHome)
		if back := w.seen(); !slices.Equal(back, first) {
			t.Errorf("it is %q, was %q", back, first)
		}
	})
}

func TestTopOutlivesTheController(t *testing.T) {
	onTop(t, func(w *watched) {
		w.operator.gone.Store(true)
		pass(3 * time.Second)
		w.has("no controller since 3s: no controller answers on r.sock")
		w.operator.gone.Store(false)
		pass(2 * time.Second)
		w.hasNot("no controller")
	})
}

func TestTopEndsByItsKey(t *testing.T) {
	topper := newTopper(newPatchy(), &api.Status{})
	if !topper.press("q") {
		t.Error("q does not end it")
	}
	topper.press("/")
	if topper.press("q") {
		t.Error("q ends it while a word is typed")
	}
}

func TestKeysAreWhatTerminalsSend(t *testing.T) {
	for sent, want := range map[string][]key{
		"q": {"q"}, "/wéb": {"/", "w", "é", "b"}, "\x1b[A": {keyUp}, "\x1bOB": {keyDown}, "\x1b": {keyEscape}, "\r": {keyEnter},
		"a\x7f": {"a", keyBackspace}, "\x1b[15~": {keyOther}, "\x00": {keyOther}, "\x1b[6~": {keyPageDown},
	} {
		if got := decode([]byte(sent)); !slices.Equal(got, want) {
			t.Errorf("%q is %q, want %q", sent, got, want)
		}
	}
}
