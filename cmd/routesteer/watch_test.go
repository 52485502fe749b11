package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

// patchy is a fake controller that is away while gone is set.
type patchy struct {
	*fakeController
	gone atomic.Bool
}

func (p *patchy) Status(ctx context.Context) (*api.Status, error) {
	if p.gone.Load() {
		return nil, &api.Error{Code: api.Unavailable, Message: "no controller answers on r.sock", Hint: "is it running?"}
	}
	return p.fakeController.Status(ctx)
}

func newPatchy() *patchy {
	return &patchy{fakeController: &fakeController{admin: api.Admin{State: "ready"}, live: make(chan struct{})}}
}

// watching runs a watch in a bubble of fake time, calls during, and returns
// what was drawn after it stopped.
func watching(t *testing.T, a *app, operator api.Operator, during func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.watch(ctx, operator, "banner\n", "") }()
	synctest.Wait()
	during()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("watch: %v", err)
	}
}

// pass lets the bubble's time pass, and all that happens in it.
func pass(d time.Duration) {
	time.Sleep(d) // fake: it takes no time
	synctest.Wait()
}

func TestAPipedWatchWritesABlockASecondAndAfterEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		operator := newPatchy()
		watching(t, &app{stdout: &out}, operator, func() {
			pass(3500 * time.Millisecond)
			if got := strings.Count(out.String(), "--- "); got < 4 || got > 6 {
				t.Errorf("got %d blocks after 3.5 s", got)
			}
			blocks := strings.Count(out.String(), "--- ")
			operator.live <- struct{}{}
			pass(2 * watchCalm)
			if got := strings.Count(out.String(), "--- "); got != blocks+1 {
				t.Errorf("got %d blocks after an event, want %d", got, blocks+1)
			}
		})
		if !strings.Contains(out.String(), "banner\nsite.yaml: all well") {
			t.Errorf("got %s", &out)
		}
	})
}

func TestAWatchOutlivesTheController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		operator := newPatchy()
		watching(t, &app{stdout: &out}, operator, func() {
			operator.gone.Store(true)
			pass(5500 * time.Millisecond)
			want := "no controller since 5s: no controller answers on r.sock\nwhat it said last:\n\nsite.yaml: all well"
			if !strings.Contains(out.String(), want) {
				t.Errorf("got %s, want in it %s", &out, want)
			}
			operator.gone.Store(false)
			pass(2 * time.Second)
			if blocks := strings.Split(out.String(), "--- "); strings.Contains(blocks[len(blocks)-1], "no controller") {
				t.Errorf("the controller is back, and it is not said: %s", blocks[len(blocks)-1])
			}
		})
	})
}

func TestAWatchAsJSONIsALineForEachLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, problems bytes.Buffer
		operator := newPatchy()
		watching(t, &app{stdout: &out, stderr: &problems, output: asJSON}, operator, func() {
			operator.gone.Store(true)
			pass(5 * time.Second)
		})
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, `{"version":"v0"`) {
				t.Errorf("got %s", line)
			}
		}
		if got := strings.Count(problems.String(), "\n"); got != 1 || !strings.Contains(problems.String(), "unavailable") {
			t.Errorf("got problems %s, want one line", &problems)
		}
	})
}

// fullDisk takes no byte.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestAWatchThatCannotWriteEndsAndSaysWhy(t *testing.T) {
	for _, output := range []format{asText, asJSON} {
		synctest.Test(t, func(t *testing.T) {
			a := &app{stdout: fullDisk{}, output: output}
			if err := a.watch(t.Context(), newPatchy(), "", ""); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("-o %s: got %v", &output, err)
			}
		})
	}
}

func TestAWatchOfSomethingUnknownEndsAtOnce(t *testing.T) {
	a := &app{stdout: &bytes.Buffer{}}
	err := a.watch(t.Context(), newPatchy(), "", "web9")
	if failure := (*api.Error)(nil); !errors.As(err, &failure) || failure.Code != api.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestAScreenShowsWhatFitsAndLeavesNoTrace(t *testing.T) {
	var out bytes.Buffer
	text := "one\ntwo\nthree\nfour\n"
	s := openScreen(&out, func() (width, height int) { return 40, 3 }, show.Style{})
	w := &watcher{last: view{text: func(style show.Style) string {
		if style.Width != 40 {
			t.Errorf("the text is for %d columns, want 40", style.Width)
		}
		return text
	}}}
	if err := s.draw(w); err != nil {
		t.Fatal(err)
	}
	s.close()
	want := enterScreen + home + "one" + eraseLine + "\r\ntwo" + eraseLine + "\r\n… 2 more lines" + eraseLine + eraseBelow + leaveScreen
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
