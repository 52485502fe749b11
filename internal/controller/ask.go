package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/steer"
)

// A lookRequest asks for what would change now, without changing it.
type lookRequest struct {
	want  steer.Assignment
	reply chan<- lookReply // has room for the one reply
}

type lookReply struct {
	plan     steer.Plan
	held     *limitError // what of it waits for its turn; nil for nothing
	commands []string
	err      error
}

// answer says what would change now, from a fresh look. What is done next does not depend
// on whether anybody has asked.
func (w *worker) answer(ctx context.Context, want steer.Assignment) lookReply {
	ctx, cancel := context.WithTimeout(ctx, w.router.Patience())
	defer cancel()
	if err := w.ensureOpen(); err != nil {
		return lookReply{err: err}
	}
	table, err := w.read(ctx)
	if err != nil {
		return lookReply{err: err}
	}
	reply := lookReply{plan: steer.Diff(want, table, w.terms())}
	reply.plan.Changes, reply.held = w.limit.hold(w.fights.clone().hold(reply.plan.Changes, time.Now()), time.Now())
	if renderer, ok := w.driver.(drivers.Renderer); ok {
		reply.commands = renderer.Render(reply.plan.Changes)
	}
	return reply
}

// ask asks the worker what would change now.
func (w *worker) ask(ctx context.Context, want steer.Assignment) (lookReply, error) {
	reply := make(chan lookReply, 1)
	select {
	case w.asks <- lookRequest{want: want, reply: reply}:
	case <-w.done:
		return lookReply{}, errors.New("it is being replaced: try again")
	case <-ctx.Done():
		return lookReply{}, fmt.Errorf("it is busy: %w", ctx.Err())
	}
	select {
	case answer := <-reply:
		return answer, answer.err
	case <-ctx.Done():
		return lookReply{}, fmt.Errorf("it does not answer: %w", ctx.Err())
	}
}
