package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/steer"
)

// Plan implements api.Operator.
func (c *Controller) Plan(ctx context.Context) (*api.Plan, error) {
	var want steer.Assignment
	var workers []*worker
	if err := c.do(ctx, func() {
		want = c.want
		for _, name := range slices.Sorted(maps.Keys(c.routers)) {
			workers = append(workers, c.routers[name].worker)
		}
	}); err != nil {
		return nil, err
	}
	answer := &api.Plan{Changes: []api.Change{}, Foreign: []string{}, Commands: []string{}}
	for _, w := range workers {
		reply, err := w.ask(ctx, want)
		if err != nil {
			return nil, &api.Error{Code: api.Unavailable, Message: fmt.Sprintf("router %s: %v", w.router.Name, err)}
		}
		addPlan(answer, string(w.router.Name), reply)
	}
	return answer, nil
}

func addPlan(answer *api.Plan, router string, reply lookReply) {
	for _, change := range reply.plan.Changes {
		answer.Changes = append(answer.Changes, changeOf(router, change))
	}
	if reply.held != nil {
		for _, change := range reply.held.held {
			held := changeOf(router, change)
			held.HeldUntil = reply.held.until
			answer.Changes = append(answer.Changes, held)
		}
	}
	for _, route := range reply.plan.Foreign {
		answer.Foreign = append(answer.Foreign, router+": "+foreignText(route))
	}
	for _, command := range reply.commands {
		answer.Commands = append(answer.Commands, router+": "+command)
	}
}

func changeOf(router string, change steer.Change) api.Change {
	return api.Change{
		Router: router, Op: string(change.Op), Prefix: change.Prefixes[0].String(), Prefixes: several(len(change.Prefixes)),
		From: addresses(change.From), To: addresses(change.To), Reason: change.Reason,
	}
}

func addresses(hops []steer.NextHop) []string {
	texts := make([]string, len(hops))
	for i, hop := range hops {
		texts[i] = hop.Address.String()
	}
	return texts
}
