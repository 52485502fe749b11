package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

const (
	watchInterval = time.Second
	watchCalm     = 100 * time.Millisecond // between two draws, however many events come
)

// watch shows the site again and again until ctx ends, also while no
// controller answers. banner, if not "", comes before each text. It fails only
// if the first look does.
func (a *app) watch(ctx context.Context, operator api.Operator, banner, word string) error {
	first, err := look(ctx, operator, word)
	if err != nil {
		return err
	}
	w := &watcher{operator: operator, word: word, last: first, answered: time.Now(), banner: banner}
	w.canvas = a.canvas()
	defer w.canvas.close()
	ctx, stop := context.WithCancel(ctx)
	woken, wait := followEvents(ctx, operator)
	defer wait()
	defer stop() // first: a watch also ends because it cannot draw
	return w.run(ctx, woken)
}

// A watcher is a watch under way. One goroutine uses it.
type watcher struct {
	operator api.Operator
	word     string
	banner   string
	canvas   canvas

	last     view
	answered time.Time // when last was had
	trouble  error     // why there is no newer one
}

func (w *watcher) run(ctx context.Context, woken <-chan struct{}) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		if err := w.canvas.draw(w); err != nil {
			return err
		}
		pause(ctx, watchCalm)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-woken:
		}
		v, err := look(ctx, w.operator, w.word)
		if ctx.Err() != nil {
			return nil
		}
		w.trouble = err
		if err == nil {
			w.last, w.answered = v, time.Now()
		}
	}
}

// text is what is drawn now.
func (w *watcher) text(style show.Style) string {
	var b strings.Builder
	b.WriteString(w.banner)
	if w.trouble != nil {
		first, _, _ := strings.Cut(w.trouble.Error(), "\n")
		fmt.Fprintf(&b, "no controller since %s: %s\nwhat it said last:\n\n", show.Age(time.Since(w.answered)), first)
	}
	b.WriteString(w.last.text(style))
	return b.String()
}

// followEvents sends on woken after events, however many, until ctx ends;
// wait returns when it has stopped.
func followEvents(ctx context.Context, operator api.Operator) (woken <-chan struct{}, wait func()) {
	wake := make(chan struct{}, 1)
	var following sync.WaitGroup
	following.Go(func() {
		for ctx.Err() == nil {
			for _, err := range operator.Events(ctx, api.EventsRequest{After: time.Now(), Follow: true}) {
				if err != nil {
					break // no controller: the ticker draws that
				}
				select {
				case wake <- struct{}{}:
				default:
				}
			}
			pause(ctx, watchInterval)
		}
	})
	return wake, following.Wait
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// A canvas is where a watcher draws.
type canvas interface {
	draw(w *watcher) error
	close()
}

// canvas returns the one that suits the format and stdout.
func (a *app) canvas() canvas {
	if a.output == asJSON {
		return &jsonLines{stdout: a.stdout, stderr: a.stderr}
	}
	if file, ok := a.terminal(); ok {
		return openScreen(file, func() (width, height int) { return terminalSize(file) }, a.style())
	}
	return &blocks{out: a.stdout, style: a.style()}
}

// blocks draws one text after the other, each below a line with the time.
type blocks struct {
	out   io.Writer
	style show.Style
}

func (b *blocks) draw(w *watcher) error {
	_, err := fmt.Fprintf(b.out, "--- %s\n%s\n", time.Now().Format(time.DateTime), w.text(b.style))
	return err
}

func (*blocks) close() {}

// jsonLines draws one value a line, and why there is none, once.
type jsonLines struct {
	stdout, stderr io.Writer
	complained     bool
}

func (j *jsonLines) draw(w *watcher) error {
	if w.trouble == nil {
		j.complained = false
		return writeJSON(j.stdout, w.last.value, "")
	}
	if j.complained {
		return nil
	}
	j.complained = true
	return writeJSON(j.stderr, toAPI(w.trouble), "")
}

func (*jsonLines) close() {}
