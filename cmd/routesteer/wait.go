package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

const (
	waitPace  = 500 * time.Millisecond
	waitQuiet = 10 * time.Second // between lines, where they are not drawn over
	waitTries = time.Minute      // a controller may be away for so long
)

// Exit codes of drain --wait.
const (
	exitTimedOut = 3
	exitForced   = 4
)

// A waited is the answer of drain --wait.
type waited struct {
	*api.Moved
	Result      string           `json:"result"`      // "idle", "timed out", "forced"
	Transitions []api.Transition `json:"transitions"` // how each ended; never null
}

// A waiter waits until connections at a server have ended. Controllers may
// come and go meanwhile: routers go on.
type waiter struct {
	operator api.Operator
	servers  []string
	vips     []string       // only these; nil for all
	since    time.Time      // what ended before is of an earlier move
	most     map[string]int // connections left at the most, by router and VIP
	show     func([]show.Progress) error
}

// run returns how all of them have ended.
func (w *waiter) run(ctx context.Context) ([]api.Transition, error) {
	answered := time.Now()
	for {
		all, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("no longer waiting for connections at %s: it stays drained", strings.Join(w.servers, ", "))
		case err == nil:
			answered = time.Now()
			if err := w.show(w.progress(all)); err != nil {
				return nil, err
			}
			if !ending(all) {
				return all, nil
			}
		case time.Since(answered) > waitTries:
			return nil, err
		}
		pause(ctx, waitPace)
	}
}

func (w *waiter) look(ctx context.Context) ([]api.Transition, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	all, err := w.operator.Transitions(ctx, "")
	if err != nil {
		return nil, err
	}
	concerned := []api.Transition{}
	for _, t := range all {
		mine := slices.ContainsFunc(w.servers, t.Concerns) && (w.vips == nil || slices.Contains(w.vips, t.VIP))
		if mine && (t.State == api.Ending || t.Ended.After(w.since)) {
			concerned = append(concerned, t)
		}
	}
	return concerned, nil
}

func (w *waiter) progress(all []api.Transition) []show.Progress {
	progress := make([]show.Progress, len(all))
	for i, t := range all {
		key := t.Router + " " + t.VIP
		w.most[key] = max(w.most[key], t.Connections())
		progress[i] = show.Progress{Transition: t, Most: w.most[key]}
	}
	return progress
}

func ending(all []api.Transition) bool {
	for _, t := range all {
		if t.State == api.Ending {
			return true
		}
	}
	return false
}

// await waits until the connections that a drain left have ended, shows that,
// and prints the result with what the drain said.
func (a *app) await(ctx context.Context, moved *api.Moved, since time.Time) error {
	w := &waiter{operator: a.client(), servers: moved.Servers, since: since, most: map[string]int{}, show: a.progress()}
	if len(moved.Of) > 0 {
		for _, move := range moved.VIPs {
			w.vips = append(w.vips, move.VIP)
		}
	}
	all, err := w.run(ctx)
	if err != nil {
		return err
	}
	result, left := verdict(all)
	words := show.Waited(result, left)
	if result == "idle" && !moved.Unchanged && len(moved.Cut) > 0 { // there was nothing to wait for
		result, words = "forced", "forced: connections were cut at once"
	}
	if a.output == asJSON {
		err = writeJSON(a.stdout, waited{moved, result, all}, "  ")
	} else {
		_, err = fmt.Fprintln(a.stdout, words)
	}
	if err != nil {
		return err
	}
	switch result {
	case "timed out":
		return &exitError{code: exitTimedOut}
	case "forced":
		return &exitError{code: exitForced}
	default:
		return nil
	}
}

// verdict is the worst of the ends, and how many connections were left.
func verdict(all []api.Transition) (result string, left int) {
	rank := map[string]int{"idle": 0, "timed out": 1, "forced": 2}
	result = "idle"
	for _, t := range all {
		left += t.Connections()
		if rank[t.State] > rank[result] {
			result = t.State
		}
	}
	return result, left
}

// progress returns what shows a wait: on a terminal bars, drawn over and over;
// elsewhere a line now and then; with JSON nothing.
func (a *app) progress() func([]show.Progress) error {
	if a.output == asJSON {
		return func([]show.Progress) error { return nil }
	}
	if _, tty := a.terminal(); tty {
		return drawOver(a.stdout, func(all []show.Progress) string { return show.Waiting(all, time.Now(), a.style()) })
	}
	return sayNowAndThen(a.stdout)
}

// drawOver writes each text over the one before.
func drawOver(out io.Writer, text func([]show.Progress) string) func([]show.Progress) error {
	lines := 0
	return func(all []show.Progress) error {
		now := text(all)
		back := ""
		if lines > 0 {
			back = fmt.Sprintf("\x1b[%dA\r%s", lines, eraseBelow)
		}
		lines = strings.Count(now, "\n")
		_, err := io.WriteString(out, back+now)
		return err
	}
}

// sayNowAndThen writes a line when the number of connections has changed, but
// not often.
func sayNowAndThen(out io.Writer) func([]show.Progress) error {
	said, when := -1, time.Time{}
	return func(all []show.Progress) error {
		left := 0
		for _, p := range all {
			left += p.Connections()
		}
		if left == said || time.Since(when) < waitQuiet {
			return nil
		}
		said, when = left, time.Now()
		_, err := fmt.Fprintf(out, "%s left\n", show.Plural(left, "connection"))
		return err
	}
}
