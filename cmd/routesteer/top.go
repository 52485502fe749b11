package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

// topEvents is how many events are kept to be shown, and to be filtered.
const topEvents = 500

func (a *app) topCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "top",
		Short: "Watch the site live: servers, flows, moves, events",
		Long: `Draw the site on the terminal, again after every event: servers with their share
of the traffic, where each VIP flows, moves with the connections that have ended,
routers, warnings, and the last events. It changes nothing. When standard output
is no terminal it is status --watch.

KEYS
  /          show only rows with a word; Enter ends it, Escape shows all again
  up, down   scroll; also k, j, Page Up, Page Down, Home
  q          quit`,
		Example: `  routesteer top
  routesteer top --url https://router:8443 --token-file token`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error {
			file, tty := a.terminal()
			if !tty || a.output == asJSON {
				return a.watch(command.Context(), a.client(), "", "")
			}
			return a.top(command.Context(), a.client(), file)
		},
	}
}

// top draws on a terminal until its user or ctx ends it. It fails only if the
// first look does.
func (a *app) top(ctx context.Context, operator api.Operator, file *os.File) error {
	status, err := topLook(ctx, operator)
	if err != nil {
		return err
	}
	keyboard, err := openKeyboard()
	if err != nil {
		return err
	}
	defer keyboard.close()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)

	t := newTopper(operator, status)
	screen := openScreen(file, func() (width, height int) { return terminalSize(file) }, a.style())
	defer screen.close()
	ctx, stop := context.WithCancel(ctx)
	events, wait := topFollow(ctx, operator)
	defer wait()
	defer stop()
	return t.run(ctx, screen, events, keyboard.keys, resized)
}

func topLook(ctx context.Context, operator api.Operator) (*api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return operator.Status(ctx)
}

// topFollow sends events until ctx ends, from the last ones on; wait returns when
// it has stopped.
func topFollow(ctx context.Context, operator api.Operator) (events <-chan api.Event, wait func()) {
	all := make(chan api.Event)
	var following sync.WaitGroup
	following.Go(func() {
		request := api.EventsRequest{Last: topEvents, Follow: true}
		for ctx.Err() == nil {
			for event, err := range operator.Events(ctx, request) {
				if err != nil {
					break // no controller: the ticker draws that
				}
				request = api.EventsRequest{Since: event.Seq, Follow: true}
				select {
				case all <- event:
				case <-ctx.Done():
				}
			}
			pause(ctx, watchInterval)
		}
	})
	return all, following.Wait
}

// A topper is a top under way. One goroutine uses it.
type topper struct {
	operator api.Operator
	status   *api.Status
	answered time.Time // when status was had
	trouble  error     // why there is no newer one
	shown    show.Top
	typing   bool // what is typed goes to the filter
	scroll   int  // lines that are above the screen
}

func newTopper(operator api.Operator, status *api.Status) *topper {
	return &topper{operator: operator, status: status, answered: time.Now(), shown: show.Top{Most: map[string]int{}}}
}

func (t *topper) run(ctx context.Context, s *screen, events <-chan api.Event, keys <-chan key, resized <-chan os.Signal) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	calm := time.NewTimer(0) // the next look after events; it fires once at the start, which is no harm
	defer calm.Stop()
	for {
		if err := s.write(t.lines); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case key := <-keys:
			if t.press(key) {
				return nil
			}
		case event := <-events:
			t.remember(event)
			calm.Reset(watchCalm)
		case <-resized:
		case <-calm.C:
			t.look(ctx)
		case <-tick.C:
			t.look(ctx)
		}
	}
}

func (t *topper) look(ctx context.Context) {
	status, err := topLook(ctx, t.operator)
	t.trouble = err
	if err != nil {
		return
	}
	t.status, t.answered = status, time.Now()
	most := map[string]int{} // of those that are there still
	for _, transition := range status.Transitions {
		key := show.TransitionKey(transition)
		most[key] = max(t.shown.Most[key], transition.Connections())
	}
	t.shown.Most = most
}

func (t *topper) remember(event api.Event) {
	t.shown.Events = append(t.shown.Events, event)
	t.shown.Events = t.shown.Events[max(0, len(t.shown.Events)-topEvents):]
}

// press does what a key is for, and reports whether that is the end.
func (t *topper) press(k key) (quit bool) {
	if t.typing {
		t.edit(k)
		return false
	}
	switch k {
	case "q":
		return true
	case "/":
		t.typing, t.scroll = true, 0
	case keyEscape:
		t.shown.Filter, t.scroll = "", 0
	case "k", keyUp:
		t.scroll--
	case "j", keyDown:
		t.scroll++
	case keyPageUp:
		t.scroll -= 10
	case keyPageDown:
		t.scroll += 10
	case keyHome:
		t.scroll = 0
	}
	return false
}

// edit changes the filter.
func (t *topper) edit(k key) {
	switch k {
	case keyEnter:
		t.typing = false
	case keyEscape:
		t.typing, t.shown.Filter = false, ""
	case keyBackspace:
		runes := []rune(t.shown.Filter)
		t.shown.Filter = string(runes[:max(0, len(runes)-1)])
	default:
		if !k.named() {
			t.shown.Filter += string(k)
		}
	}
}

// lines are what is drawn now: the picture, as much as there is room for,
// below it the last events, and at the bottom what keys do.
func (t *topper) lines(width, height int, style show.Style) []string {
	style.Width = width
	events := show.LastEvents(t.shown, max(0, height/4), style)
	room := max(1, height-len(events)-2)
	picture := strings.Split(strings.TrimRight(t.heading()+show.Picture(t.status, t.shown, style), "\n"), "\n")
	t.scroll = min(max(t.scroll, 0), max(0, len(picture)-room))
	picture = picture[t.scroll:]
	hidden := max(0, len(picture)-room)
	picture = picture[:len(picture)-hidden]
	for len(picture) < room {
		picture = append(picture, "")
	}
	lines := append(picture, rule(width, hidden))
	return append(append(lines, events...), t.foot())
}

func (t *topper) heading() string {
	if t.trouble == nil {
		return ""
	}
	first, _, _ := strings.Cut(t.trouble.Error(), "\n")
	return fmt.Sprintf("no controller since %s: %s\nwhat it said last:\n\n", show.Age(time.Since(t.answered)), first)
}

// rule parts the picture from the events, and says how much of it is below.
func rule(width, hidden int) string {
	text := "── events "
	if hidden > 0 {
		text = fmt.Sprintf("── %d more lines below ── events ", hidden)
	}
	return text + strings.Repeat("─", max(0, width-len([]rune(text))))
}

func (t *topper) foot() string {
	switch {
	case t.typing:
		return "/" + t.shown.Filter + "_"
	case t.shown.Filter != "":
		return "only rows with " + t.shown.Filter + "   / another word   Escape all   q quit"
	default:
		return "/ find   up down scroll   q quit"
	}
}
