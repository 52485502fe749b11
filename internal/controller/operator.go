package controller

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/api"
	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

var _ api.Operator = (*Controller)(nil)

// Drain implements api.Operator.
func (c *Controller) Drain(ctx context.Context, request api.DrainRequest) (*api.Moved, error) {
	server := topology.ServerName(request.Server)
	drain := &state.Drain{By: request.By, Reason: request.Reason, Since: time.Now().Round(0)}
	moved, err := c.change(ctx, server, drain, request.By, request.TimeoutMs, func() error {
		return c.prove(ctx, server, request.Force)
	})
	if err == nil && request.Cut && moved.Confirmed {
		err = c.cut(ctx, server, request.By)
	}
	return moved, err
}

// Undrain implements api.Operator.
func (c *Controller) Undrain(ctx context.Context, request api.UndrainRequest) (*api.Moved, error) {
	server := topology.ServerName(request.Server)
	return c.change(ctx, server, nil, request.By, request.TimeoutMs, func() error { return c.look(ctx, server) })
}

// A step is an operator's change that has been acted on, and who waits for it.
type step struct {
	before    steer.Assignment
	confirmed *waiter
}

// change makes drain, or ready if it is nil, the server's admin state, once
// proof agrees, and waits for the routers. Changes of intent are made one at a
// time, but do not wait for each other's routers.
func (c *Controller) change(ctx context.Context, server topology.ServerName, drain *state.Drain, by string, timeoutMs int64, proof func() error) (*api.Moved, error) {
	taken, err := c.commit(ctx, server, drain, by, proof)
	if err != nil {
		return nil, err
	}
	if taken == nil {
		return c.unchanged(ctx, server)
	}
	c.waitFor(ctx, taken.confirmed, timeoutMs)
	var moved *api.Moved
	err = c.do(context.WithoutCancel(ctx), func() {
		delete(c.waiters, taken.confirmed)
		moved = c.moved(server, taken.before, taken.confirmed.seq)
	})
	return moved, err
}

// commit proves, keeps and acts on an operator's intent. It returns nil if
// that is the intent already.
func (c *Controller) commit(ctx context.Context, server topology.ServerName, drain *state.Drain, by string, proof func() error) (*step, error) {
	release, err := c.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	drained, err := c.isDrained(ctx, server)
	if err != nil {
		return nil, err
	}
	if drained == (drain != nil) {
		return nil, nil
	}
	if err := proof(); err != nil {
		return nil, err
	}
	return c.setIntent(ctx, server, drain, by)
}

// isDrained reports the server's admin state; an error names the known ones.
func (c *Controller) isDrained(ctx context.Context, server topology.ServerName) (drained bool, err error) {
	stop := c.do(ctx, func() {
		_, drained = c.intent.Drains[server]
		if _, known := c.site.Server(server); !known && !drained {
			err = unknownServer(c.site, string(server))
		}
	})
	if stop != nil {
		return false, stop
	}
	return drained, err
}

// unchanged is the answer to a request that asks for what is.
func (c *Controller) unchanged(ctx context.Context, server topology.ServerName) (*api.Moved, error) {
	var moved *api.Moved
	err := c.do(ctx, func() {
		moved = c.moved(server, c.want, c.seq)
		moved.Unchanged = true
	})
	return moved, err
}

// prove makes sure, before anything is touched, that each VIP of the server
// has somewhere better to go: the standbys are checked now, through the VIP,
// and those that fail count as down. With force it only warns the journal.
func (c *Controller) prove(ctx context.Context, server topology.ServerName, force bool) error {
	if err := c.confirm(ctx, func() []health.Target { return c.standbys(server) }); err != nil {
		return err
	}
	var left []string
	err := c.do(ctx, func() { left = c.stranded(server) })
	if err != nil || len(left) == 0 || force {
		return err
	}
	return &api.Error{
		Code:    api.Refused,
		Message: fmt.Sprintf("%s is not drained: no other server can carry %d of its VIPs", server, len(left)),
		Details: left,
		Hint:    "mend a standby first (routesteer check shows them), or use --force to mark it drained and leave that traffic on it",
	}
}

// look has the server that is to be put back in service checked first. What it
// fails at stays away from it.
func (c *Controller) look(ctx context.Context, server topology.ServerName) error {
	return c.confirm(ctx, func() []health.Target { return c.wellAt(server) })
}

// confirm checks targets, which choose finds in the loop, before traffic may move
// there: standbys are checked now and then only.
func (c *Controller) confirm(ctx context.Context, choose func() []health.Target) error {
	var targets []health.Target
	if err := c.do(ctx, func() { targets = choose() }); err != nil {
		return err
	}
	results := c.prober.Check(ctx, targets)
	// Checks that ctx cut short prove nothing: do refuses then.
	return c.do(ctx, func() { c.believe(results) })
}

// wellAt are the targets of a server that are up.
func (c *Controller) wellAt(server topology.ServerName) []health.Target {
	var well []health.Target
	for _, judge := range c.site.Judges() {
		target := health.Target{Server: server, VIP: judge.VIP.Prefix}
		if c.board.State(target).Verdict == health.Up {
			well = append(well, target)
		}
	}
	return well
}

// standbys are the targets that may have to take over from the server.
func (c *Controller) standbys(server topology.ServerName) []health.Target {
	var standbys []health.Target
	seen := map[health.Target]bool{} // cohorts may share their verdicts
	for _, cohort := range c.cohorts.All() {
		if !slices.Contains(c.want.For(cohort).Servers, server) {
			continue
		}
		for _, name := range cohort.Servers() {
			target := health.Target{Server: name, VIP: cohort.Judge}
			_, drained := c.intent.Drains[name]
			if name != server && !drained && !seen[target] && c.board.State(target).Verdict == health.Up {
				seen[target] = true
				standbys = append(standbys, target)
			}
		}
	}
	return standbys
}

// believe brings down targets that failed before a move.
func (c *Controller) believe(results []health.Result) {
	var events []func() api.Event
	for _, result := range results {
		if result.OK() {
			continue
		}
		for _, flip := range c.board.BringDown(result.Target, result.Started.Add(result.Took), "checked before a planned move: "+failure(result)) {
			events = append(events, func() api.Event { return c.flipEvent(flip) })
			c.pace(flip.Target)
		}
	}
	if len(events) > 0 {
		c.decide(time.Now(), events...)
	}
}

// failure is what a result says, with its hint.
func failure(result health.Result) string {
	if result.Hint == "" {
		return result.Failure
	}
	return result.Failure + ": " + result.Hint
}

// stranded lists the VIPs that would stay with the server if it were drained,
// and why.
func (c *Controller) stranded(server topology.ServerName) []string {
	in := c.input(time.Now())
	in.Drained[server] = true
	var left []string
	wanted := steer.Desired(in)
	for _, cohort := range c.cohorts.All() {
		want := wanted.For(cohort)
		carried := slices.Contains(c.want.For(cohort).Servers, server)
		if !carried || !want.Withdraw && !slices.Contains(want.Servers, server) {
			continue
		}
		for _, entry := range cohort.Entries {
			left = append(left, fmt.Sprintf("%s: %s", label(entry), want.Why))
		}
	}
	slices.Sort(left)
	return left
}

// label names an entry of the file: by its prefix, or the first of many.
func label(entry topology.Entry) string {
	if more := len(entry.Prefixes) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", entry.VIP.Prefix, more)
	}
	return entry.VIP.Prefix.String()
}

// setIntent makes an operator's intent durable, and acts on it. A nil drain
// means ready. The caller is alone.
func (c *Controller) setIntent(ctx context.Context, server topology.ServerName, drain *state.Drain, by string) (*step, error) {
	var next state.Intent
	if err := c.do(ctx, func() { next.Drains = maps.Clone(c.intent.Drains) }); err != nil {
		return nil, err
	}
	event := api.Event{Kind: "admin", Server: string(server), From: "drain", To: "ready", By: by}
	delete(next.Drains, server)
	if drain != nil {
		next.Drains[server] = *drain
		event.From, event.To, event.Reason = "ready", "drain", drain.Reason
	}
	if err := state.Save(c.options.StateFile, next); err != nil {
		return nil, &api.Error{
			Code:    api.Unavailable,
			Message: fmt.Sprintf("nothing changed: %v", err),
			Hint:    "intent must survive a restart before it is acted on: make room or give the right to write there",
		}
	}
	taken := &step{}
	// Durable now: it must also take effect, even if the operator has gone.
	err := c.do(context.WithoutCancel(ctx), func() {
		taken.before = c.want
		c.intent = next
		if drain == nil {
			c.recalled = server
			defer func() { c.recalled = "" }()
		}
		c.warnOfCuts()
		c.decide(time.Now(), func() api.Event { return event })
		c.retryFights(time.Now())
		taken.confirmed = c.confirmation()
	})
	return taken, err
}

// moved says what became of the VIPs that the server carried before or
// carries now, and which routers have confirmed the order seq.
func (c *Controller) moved(server topology.ServerName, before steer.Assignment, seq uint64) *api.Moved {
	moved := &api.Moved{Server: string(server), Admin: c.view().admin(server).State, VIPs: []api.Move{}, Routers: []api.Router{}, Cut: []string{}, Confirmed: true}
	blocked := c.blocked()
	for _, cohort := range c.cohorts.All() {
		was, want := before.For(cohort), c.want.For(cohort)
		if !slices.Contains(was.Servers, server) && !slices.Contains(want.Servers, server) {
			continue
		}
		for _, entry := range cohort.Entries {
			moved.VIPs = append(moved.VIPs, api.Move{
				VIP: entry.VIP.Prefix.String(), VIPs: several(len(entry.Prefixes)), Name: entry.VIP.Name,
				From: words(was.Servers), To: words(want.Servers), Reason: want.Reason(),
			})
		}
		moved.Confirmed = moved.Confirmed && !blocked[cohort]
	}
	moved.Routers = c.view().routerStatus()
	for _, router := range moved.Routers {
		if router.Cuts != "" {
			moved.Cut = append(moved.Cut, router.Name+": "+router.Cuts)
		}
	}
	moved.Confirmed = moved.Confirmed && c.confirmed(seq)
	return moved
}

// blocked are the cohorts that a foreign route, or a fight, keeps from being
// steered, in part at least, on any router.
func (c *Controller) blocked() map[*steer.Cohort]bool {
	blocked := map[*steer.Cohort]bool{}
	for _, r := range c.routers {
		for _, prefix := range r.last.fought {
			blocked[c.cohorts.Of(prefix)] = true
		}
		for _, route := range r.last.left.Foreign {
			blocked[c.cohorts.Of(route.Prefix)] = true
		}
	}
	return blocked
}

// Events implements api.Operator.
func (c *Controller) Events(ctx context.Context, since uint64, follow bool) iter.Seq2[api.Event, error] {
	return c.journal.follow(ctx, since, follow)
}

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
		answer.Changes = append(answer.Changes, api.Change{
			Router: router, Op: string(change.Op), Prefix: change.Prefixes[0].String(), Prefixes: several(len(change.Prefixes)),
			From: addresses(change.From), To: addresses(change.To), Reason: change.Reason,
		})
	}
	for _, route := range reply.plan.Foreign {
		answer.Foreign = append(answer.Foreign, router+": "+foreignText(route))
	}
	for _, command := range reply.commands {
		answer.Commands = append(answer.Commands, router+": "+command)
	}
}

func addresses(hops []steer.NextHop) []string {
	texts := make([]string, len(hops))
	for i, hop := range hops {
		texts[i] = hop.Address.String()
	}
	return texts
}
