package cisco

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	// installLimit bounds the wait for routes that were taken to be in the
	// forwarding table. Between two questions is askAfter, which doubles up to
	// askLater: a router has other things to do.
	installLimit = 5 * time.Second
	askAfter     = 20 * time.Millisecond
	askLater     = 320 * time.Millisecond
	// lateLimit is that of a route that takes over when better ones are removed:
	// it was there before, and there is nothing else meanwhile.
	lateLimit = time.Second
	// blindWait is in place of that where the router may not be asked.
	blindWait = time.Second
	// maxRefusals is how often a router may refuse to say it before that is taken
	// for a rule. One that has said it once is asked until it does again.
	maxRefusals = 3
)

// awaitFirst waits until the router forwards by all that was added.
func (e *editor) awaitFirst(ctx context.Context, moves []*move) error {
	return e.await(ctx, installLimit, slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return !m.busy() || len(m.await) == 0 || m.late }))
}

// awaitLast waits until the router forwards by what it could not use before
// better routes were removed.
func (e *editor) awaitLast(ctx context.Context, moves []*move) error {
	return e.await(ctx, lateLimit, slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return !m.busy() || len(m.await) == 0 || !m.late }))
}

// await waits until the router forwards by the next hops of all of the moves.
func (e *editor) await(ctx context.Context, patience time.Duration, left []*move) error {
	deadline := time.Now().Add(patience)
	for wait := askAfter; len(left) > 0; wait = min(2*wait, askLater) {
		// A slow router may take longer than that for one round: it is asked twice.
		last := !time.Now().Before(deadline)
		var missing []*move
		for _, m := range left {
			done, err := e.forwards(ctx, m)
			if err != nil {
				return err
			}
			if !done {
				missing = append(missing, m)
			}
		}
		if left = missing; len(left) == 0 {
			return e.trustBlindly(ctx)
		}
		if last {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
	for _, m := range left {
		m.err = m.notInstalled(patience)
	}
	return nil
}

// trustBlindly gives a router that does not say what it forwards by the time to
// do it.
func (e *editor) trustBlindly(ctx context.Context) error {
	if e.blind == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(blindWait):
		return nil
	}
}

// notInstalled says that the router does not use what it took.
func (m *move) notInstalled(patience time.Duration) error {
	text := fmt.Sprintf("the router took %s and does not forward by it after %s: is it reachable, is there a better route?", addresses(m.await), patience)
	if m.said != "" {
		text += fmt.Sprintf(" It said %q.", m.said)
	}
	return errors.New(text)
}

func addresses(all []netip.Addr) string {
	words := make([]string, len(all))
	for i, addr := range all {
		words[i] = addr.String()
	}
	return strings.Join(words, " and ")
}

// forwards asks the router whether it forwards a prefix by the move's next hops.
// Where that may not be asked, its word for the line must do.
func (e *editor) forwards(ctx context.Context, m *move) (bool, error) {
	if e.blind != nil {
		return true, nil
	}
	r, err := e.lookUp(ctx, m.prefix)
	if err != nil {
		return false, err
	}
	if refusal := r.refusal(); refusal != nil && !notThere.MatchString(r.text) {
		if e.refused++; e.refused >= maxRefusals && !e.sighted {
			e.blind = refusal
		}
		return e.blind != nil, nil
	}
	e.sighted = true
	via := e.dialect.via(r.text, m.prefix)
	return all(m.await, func(hop netip.Addr) bool { return slices.Contains(via, hop) }), nil
}

// lookUp asks what the router forwards a prefix by. Releases differ in whether
// such a question in configuration mode needs a word before it.
func (e *editor) lookUp(ctx context.Context, prefix netip.Prefix) (*reply, error) {
	question := e.dialect.show(e.cfg.VRF, prefix)
	r, err := e.exec(ctx, e.do+question)
	if err != nil || r.refusal() == nil || notThere.MatchString(r.text) {
		return r, err
	}
	other := map[string]string{"": "do ", "do ": ""}[e.do]
	again, err := e.exec(ctx, other+question)
	if err != nil || again.refusal() != nil && !notThere.MatchString(again.text) {
		return r, err
	}
	e.do = other
	return again, nil
}

func all[T any](items []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(items, func(item T) bool { return !holds(item) })
}
