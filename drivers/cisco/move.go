package cisco

import (
	"cmp"
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
	gaveUp  bool     // the commit of what was added was refused: nothing has happened
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
	reply *reply
}

// typeAll types lines of each move that is well so far, up to the first that is
// refused, and returns when all replies are whole. took notes what was not
// refused at once.
func (e *editor) typeAll(ctx context.Context, moves []*move, lines func(*move) []line, text func(line) string, took func(*move, line)) ([]typedLine, error) {
	var typed []typedLine
	for _, m := range moves {
		if m.err != nil {
			continue
		}
		for _, l := range lines(m) {
			r, err := e.enter(ctx, command{l.context, text(l)})
			if err != nil {
				return nil, err
			}
			typed = append(typed, typedLine{m, r})
			if r.refusal() != nil {
				break
			}
			took(m, l)
		}
	}
	if len(typed) == 0 {
		return nil, nil
	}
	return typed, e.sync(ctx)
}

// add types the new lines, and commits them.
func (e *editor) add(ctx context.Context, moves []*move) error {
	typed, err := e.typeAll(ctx, moves, func(m *move) []line { return m.add }, e.dialect.write, func(m *move, l line) { m.added = append(m.added, l) })
	if err != nil || len(typed) == 0 {
		return err
	}
	for _, t := range typed {
		if err := t.reply.refusal(); err != nil {
			t.move.fail(err)
		}
		t.move.remark(t.reply)
	}
	refusal, err := e.commit(ctx)
	if refusal == nil {
		return err
	}
	e.gaveUp = true
	for _, m := range moves {
		m.fail(refusal)
		m.added = nil
	}
	return err
}

// fail notes why a move did not come to its end, if nothing else did so before.
func (m *move) fail(why error) {
	if m.busy() {
		m.err = why
	}
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

// commit makes what was typed take effect, where that needs a word. With a
// refusal, nothing of it has happened.
func (e *editor) commit(ctx context.Context) (refusal, err error) {
	if len(e.dialect.commit) == 0 {
		return nil, nil
	}
	if _, err := e.change(ctx, nil); err != nil {
		return nil, err
	}
	for _, word := range e.dialect.commit {
		r, err := e.exec(ctx, word)
		if err != nil {
			return nil, err
		}
		if err := e.sync(ctx); err != nil {
			return nil, err
		}
		if refusal := r.refusal(); refusal != nil {
			return e.giveUp(ctx, refusal)
		}
	}
	return nil, nil
}

// giveUp drops what is not committed, and asks for the reason. Configuration mode
// is entered anew: the steps that follow are in it.
func (e *editor) giveUp(ctx context.Context, refusal error) (error, error) {
	why, err := e.exec(ctx, "show configuration failed")
	if err != nil {
		return nil, err
	}
	for _, word := range e.dialect.abandon {
		if _, err := e.exec(ctx, word); err != nil {
			return nil, err
		}
	}
	e.context = nil
	return fmt.Errorf("%w: %s", refusal, quote(commitFault(why.text))), e.configure(ctx)
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
	failed := slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return m.err == nil })
	return e.restore(ctx, failed, "what was typed is not taken back", func(m *move) []command { return m.undo(e.dialect) })
}

// remove types the removal of the old lines, exactly as the router printed them,
// and commits it.
func (e *editor) remove(ctx context.Context, moves []*move) error {
	const stands = "the new route stands, and the old one is not removed: %w"
	typed, err := e.typeAll(ctx, moves, func(m *move) []line { return m.remove }, func(l line) string { return "no " + l.text }, func(m *move, l line) { m.removed = append(m.removed, l) })
	if err != nil || len(typed) == 0 {
		return err
	}
	for _, t := range typed {
		if err := t.reply.refusal(); err != nil {
			t.move.fail(fmt.Errorf(stands, err))
		}
	}
	refusal, err := e.commit(ctx)
	if refusal == nil {
		return err
	}
	for _, m := range moves {
		if len(m.remove) > 0 {
			m.fail(fmt.Errorf(stands, refusal))
		}
		m.removed = nil
	}
	return err
}

// putBack types again what was removed for routes that were to take over and did
// not.
func (e *editor) putBack(ctx context.Context, moves []*move) error {
	failed := slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return m.err == nil || !m.late })
	return e.restore(ctx, failed, "what was removed is not put back", func(m *move) []command {
		var all []command
		for _, l := range slices.Backward(m.removed) {
			all = append(all, command{l.context, l.text})
		}
		return all
	})
}

// restore types what makes up for moves that failed, and says of which it did
// not.
func (e *editor) restore(ctx context.Context, failed []*move, otherwise string, commands func(*move) []command) error {
	var typed []typedLine
	for _, m := range failed {
		for _, c := range commands(m) {
			r, err := e.enter(ctx, c)
			if err != nil {
				return err
			}
			typed = append(typed, typedLine{m, r})
		}
	}
	if len(typed) == 0 {
		return nil
	}
	if err := e.sync(ctx); err != nil {
		return err
	}
	refusal, err := e.commit(ctx)
	for _, t := range typed {
		if why := cmp.Or(t.reply.refusal(), refusal); why != nil {
			t.move.err = fmt.Errorf("%w; and %s: %w", t.move.err, otherwise, why)
		}
	}
	return err
}
