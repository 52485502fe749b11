package cisco

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// batchSize bounds how many prefixes stand with both routes at a time: the
// overlap stays short, and a cut leaves few half-moved.
const batchSize = 50

// An editor makes moves in a session.
type editor struct {
	*session
	context []string // that it has entered in configuration mode
	do      string   // before a show command in configuration mode
	gaveUp  bool     // the last commit was refused: nothing of it has happened
	sighted bool     // the router has said what it forwards something by
	refused int      // and how often it has refused to
	blind   error    // why it is not asked any more; nil while it is
}

// newEditor returns an editor that has entered nothing yet.
func newEditor(s *session) *editor { return &editor{session: s, do: s.dialect.do} }

// make makes the moves of one batch: adds, waits until the router forwards by
// what was added, removes. What goes wrong with one prefix is in its move; an
// error means that the dialogue is over, and those without an error did not
// happen either.
func (e *editor) make(ctx context.Context, moves []*move) error {
	if !slices.ContainsFunc(moves, (*move).busy) {
		return nil
	}
	e.context, e.gaveUp = nil, false
	if err := e.configure(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context, []*move) error{e.add, e.awaitFirst, e.takeBack, e.remove, e.awaitLast, e.putBack} {
		if err := step(ctx, moves); err != nil {
			return err
		}
	}
	return e.end(ctx)
}

// busy reports whether there is something left to do.
func (m *move) busy() bool { return m.err == nil && (len(m.add) > 0 || len(m.remove) > 0) }

// A typed line is one whose reply may not be whole yet.
type typedLine struct {
	move  *move
	line  line
	reply *reply
}

// add types the new lines, and commits them.
func (e *editor) add(ctx context.Context, moves []*move) error {
	var typed []typedLine
	for _, m := range moves {
		if m.err != nil {
			continue
		}
		for _, l := range m.add {
			r, err := e.enter(ctx, command{l.context, e.dialect.write(l)})
			if err != nil {
				return err
			}
			typed = append(typed, typedLine{m, l, r})
			if r.refusal() != nil {
				break
			}
			m.added = append(m.added, l)
		}
	}
	if len(typed) == 0 {
		return nil
	}
	if err := e.sync(ctx); err != nil {
		return err
	}
	for _, t := range typed {
		if err := t.reply.refusal(); err != nil && t.move.err == nil {
			t.move.err = err
		}
		t.move.remark(t.reply)
	}
	return e.commit(ctx, moves)
}

// remark keeps what the router said to a line that it took: it may be why the
// route is not used.
func (m *move) remark(r *reply) {
	if words := strings.TrimSpace(r.text); words != "" && r.refusal() == nil {
		m.said = quote(words)
	}
}

// enter types a line in its mode.
func (e *editor) enter(ctx context.Context, c command) (*reply, error) {
	if !slices.Equal(e.context, c.context) || !inConfig(e.mode) {
		if r, err := e.change(ctx, c.context); r != nil || err != nil {
			return r, err
		}
	}
	return e.exec(ctx, c.text)
}

// change leads to another mode. It returns a reply only if the router refuses.
func (e *editor) change(ctx context.Context, to []string) (*reply, error) {
	for ; len(e.context) > 0; e.context = e.context[:len(e.context)-1] {
		if _, err := e.exec(ctx, "exit"); err != nil {
			return nil, err
		}
	}
	for _, text := range to {
		r, err := e.exec(ctx, text)
		if err != nil || r.refusal() != nil {
			return r, err
		}
		e.context = append(e.context, text)
	}
	if !inConfig(e.mode) {
		return nil, e.lost(fmt.Errorf("the router has left configuration mode: its prompt is %q", e.mode), "")
	}
	return nil, nil
}

// commit makes what was typed take effect, where that needs a word. If the router
// refuses, nothing of it has happened.
func (e *editor) commit(ctx context.Context, moves []*move) error {
	if len(e.dialect.commit) == 0 {
		return nil
	}
	if _, err := e.change(ctx, nil); err != nil {
		return err
	}
	for _, word := range e.dialect.commit {
		r, err := e.exec(ctx, word)
		if err != nil {
			return err
		}
		if err := e.sync(ctx); err != nil {
			return err
		}
		if refusal := r.refusal(); refusal != nil {
			return e.giveUp(ctx, moves, refusal)
		}
	}
	return nil
}

// giveUp drops what is not committed: it failed for all prefixes alike.
func (e *editor) giveUp(ctx context.Context, moves []*move, refusal error) error {
	why, err := e.exec(ctx, "show configuration failed")
	if err != nil {
		return err
	}
	refusal = fmt.Errorf("%w: %s", refusal, quote(commitFault(why.text)))
	e.gaveUp = true
	for _, m := range moves {
		if m.busy() {
			m.err = refusal
		}
		m.added, m.removed = nil, nil // as far as there is something to undo
	}
	for _, word := range e.dialect.abandon {
		if _, err := e.exec(ctx, word); err != nil {
			return err
		}
	}
	e.context = nil
	return nil
}

// commitFault is the reasons in the answer to "show configuration failed", which
// stand under the lines they are about.
func commitFault(answer string) string {
	var reasons []string
	for line := range strings.Lines(answer) {
		if reason, is := strings.CutPrefix(strings.TrimSpace(line), "!!%"); is {
			reasons = append(reasons, strings.TrimSpace(reason))
		}
	}
	if len(reasons) == 0 {
		return strings.Join(strings.Fields(answer), " ")
	}
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), "; ")
}

// takeBack undoes what was added for prefixes that did not come so far. It is
// done in every case: a new next hop that nobody wants is not to be left.
func (e *editor) takeBack(ctx context.Context, moves []*move) error {
	undone := false
	for _, m := range moves {
		if m.err == nil {
			continue
		}
		for _, c := range m.undo(e.dialect) {
			r, err := e.enter(ctx, c)
			if err != nil {
				return err
			}
			if refusal := r.refusal(); refusal != nil {
				m.err = fmt.Errorf("%w; and what was typed is not taken back: %w", m.err, refusal)
			}
			undone = true
		}
	}
	if !undone {
		return nil
	}
	return e.commit(ctx, nil)
}

// remove types the removal of the old lines, exactly as the router printed them,
// and commits it.
func (e *editor) remove(ctx context.Context, moves []*move) error {
	var typed []typedLine
	for _, m := range moves {
		if m.err != nil {
			continue
		}
		for _, l := range m.remove {
			r, err := e.enter(ctx, command{l.context, "no " + l.text})
			if err != nil {
				return err
			}
			typed = append(typed, typedLine{m, l, r})
			if r.refusal() != nil {
				break
			}
			m.removed = append(m.removed, l)
		}
	}
	if len(typed) == 0 {
		return nil
	}
	if err := e.sync(ctx); err != nil {
		return err
	}
	for _, t := range typed {
		if err := t.reply.refusal(); err != nil && t.move.err == nil {
			t.move.err = fmt.Errorf("the new route stands, and the old one is not removed: %w", err)
		}
	}
	return e.commit(ctx, moves)
}

// putBack types again what was removed for routes that were to take over and did
// not.
func (e *editor) putBack(ctx context.Context, moves []*move) error {
	undone := false
	for _, m := range moves {
		if m.err == nil || !m.late {
			continue
		}
		for _, l := range slices.Backward(m.removed) {
			r, err := e.enter(ctx, command{l.context, l.text})
			if err != nil {
				return err
			}
			if refusal := r.refusal(); refusal != nil {
				m.err = fmt.Errorf("%w; and %q, which was removed, is not put back: %w", m.err, l.text, refusal)
			}
			undone = true
		}
	}
	if !undone {
		return nil
	}
	if err := e.sync(ctx); err != nil {
		return err
	}
	return e.commit(ctx, nil)
}
