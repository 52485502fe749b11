package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// proveDrain makes sure, before anything is touched, that each VIP that is to
// leave has somewhere better to go: the standbys are checked now, through the VIP,
// and those that fail count as down. With force nothing is refused.
func (c *Controller) proveDrain(ctx context.Context, request api.DrainRequest, next prospect) error {
	if !request.Force {
		if err := c.awaitRoutes(ctx); err != nil {
			return err
		}
	}
	if err := c.proveStandbys(ctx, next); err != nil {
		return err
	}
	var left []string
	err := c.do(ctx, func() { left = c.stranded(next) })
	if err != nil || len(left) == 0 || request.Force {
		return err
	}
	servers := strings.Join(request.Servers, ", ")
	return &api.Error{
		Code:    api.Refused,
		Message: fmt.Sprintf("%s %s not drained: no other server can carry %d of the VIPs", servers, isOrAre(len(request.Servers)), len(left)),
		Details: left,
		Hint:    "mend a standby first (routesteer check shows them), or use --force to drain all the same: on_all_down says what becomes of that traffic",
	}
}

// awaitRoutes waits until it is known whose traffic is where, which takes adoptLimit after a
// start at most.
func (c *Controller) awaitRoutes(ctx context.Context) error {
	for {
		var adopted <-chan struct{}
		if err := c.do(ctx, func() {
			if len(c.pending) > 0 {
				adopted = c.adopted
			}
		}); err != nil || adopted == nil {
			return err
		}
		select {
		case <-adopted:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.stopped: // do says so
		}
	}
}

// proofRounds bounds how often the standbys of VIPs are checked that came to a server
// while it was about to be drained.
const proofRounds = 3

// proveStandbys checks the standbys of all VIPs that are to leave, and of those that
// come meanwhile.
func (c *Controller) proveStandbys(ctx context.Context, next prospect) error {
	checked := map[health.Target]bool{}
	for range proofRounds {
		before := len(checked)
		err := c.confirm(ctx, func() []health.Target {
			more := slices.DeleteFunc(c.standbys(next), func(target health.Target) bool { return checked[target] })
			for _, target := range more {
				checked[target] = true
			}
			return more
		})
		if err != nil || len(checked) == before {
			return err
		}
	}
	return nil
}

// provePin makes sure that the server can carry the VIP, by a check made now.
func (c *Controller) provePin(ctx context.Context, request api.PinRequest, next prospect) error {
	name := topology.ServerName(request.Server)
	var cohort *steer.Cohort
	if err := c.confirm(ctx, func() []health.Target {
		vip, _ := c.site.FindVIP(request.VIP) // the edit has found it
		cohort = next.cohorts.Of(vip.Prefix)
		return []health.Target{{Server: name, VIP: cohort.Judge}}
	}); err != nil {
		return err
	}
	why := ""
	err := c.do(ctx, func() {
		in := c.prospectInput(next, time.Now())
		why = in.Against(name, cohort)
	})
	if err != nil || why == "" || request.Force {
		return err
	}
	return &api.Error{
		Code:    api.Refused,
		Message: fmt.Sprintf("%s is not pinned to %s: %s", request.VIP, name, why),
		Hint:    "mend the server first, or use --force to send the traffic there all the same",
	}
}

// look has servers that are to be put back in service checked first. What they
// fail at stays away from them.
func (c *Controller) look(ctx context.Context, servers []topology.ServerName) error {
	return c.confirm(ctx, func() []health.Target { return c.wellAt(servers) })
}

// lookAhead has servers that traffic is to return to by the wish checked first, as look
// does: a standby may have failed since it was checked last.
func (c *Controller) lookAhead(ctx context.Context, next prospect) error {
	return c.confirm(ctx, func() []health.Target {
		in := c.prospectInput(next, time.Now())
		wanted := steer.Desired(in)
		seen := map[health.Target]bool{} // cohorts may share their verdicts
		for _, cohort := range next.cohorts.All() {
			for _, name := range wanted.For(cohort).Servers {
				if !slices.Contains(c.want.For(cohort).Servers, name) {
					seen[health.Target{Server: name, VIP: cohort.Judge}] = true
				}
			}
		}
		return slices.Collect(maps.Keys(seen))
	})
}

// confirm checks targets, which choose finds in the loop, before traffic may move
// there: standbys are checked now and then only.
func (c *Controller) confirm(ctx context.Context, choose func() []health.Target) error {
	var targets []health.Target
	var site *topology.Site
	if err := c.do(ctx, func() { targets, site = choose(), c.site }); err != nil {
		return err
	}
	results := checkWholes(ctx, c.prober, site, targets)
	// Checks that ctx cut short prove nothing: do refuses then.
	return c.do(ctx, func() { c.believe(results) })
}

// wellAt are the targets of servers that are up.
func (c *Controller) wellAt(servers []topology.ServerName) []health.Target {
	var well []health.Target
	for _, judge := range c.site.Judges() {
		for _, server := range servers {
			target := health.Target{Server: server, VIP: judge.VIP.Prefix}
			if c.board.State(target).Verdict == health.Up {
				well = append(well, target)
			}
		}
	}
	return well
}

// prospectInput is what would be known if the intent were the next one.
func (c *Controller) prospectInput(next prospect, now time.Time) steer.Input {
	v := c.view()
	v.intent, v.cohorts = next.intent, next.cohorts
	return v.input(now)
}

// taken tells which servers the next intent takes off a cohort and the present one does
// not. Other words may speak against them already, their own or the file's, and they carry
// traffic all the same because nobody else can: who drains them is to know.
func (c *Controller) taken(next prospect) func(topology.ServerName, *steer.Cohort) bool {
	was, will := asked(followed(c.intent, c.site)), asked(next.intent)
	off := func(w steer.Will, name topology.ServerName, cohort *steer.Cohort) bool {
		return w.Drained[name] != "" || w.Off[steer.Place{Server: name, VIP: cohort.Prefix}] != ""
	}
	return func(name topology.ServerName, cohort *steer.Cohort) bool {
		return off(will, name, cohort) && !off(was, name, cohort)
	}
}

// standbys are the targets that may have to take over from servers that the next
// intent takes out of service, or to carry more beside others, also if nothing is known of them yet.
func (c *Controller) standbys(next prospect) []health.Target {
	var standbys []health.Target
	then, taken := c.prospectInput(next, time.Now()), c.taken(next)
	seen := map[health.Target]bool{} // cohorts may share their verdicts
	for _, cohort := range next.cohorts.All() {
		if !slices.ContainsFunc(c.want.For(cohort).Servers, func(name topology.ServerName) bool { return taken(name, cohort) }) {
			continue
		}
		for _, name := range cohort.Servers() {
			target := health.Target{Server: name, VIP: cohort.Judge}
			fit := then.Off(name, cohort) == "" && c.board.State(target).Verdict != health.Down
			if fit && !seen[target] {
				seen[target] = true
				standbys = append(standbys, target)
			}
		}
	}
	return standbys
}

// stranded lists the VIPs that would be left by the next intent, and why: that would
// stay with servers that it takes out of service, or go to them or to nobody.
func (c *Controller) stranded(next prospect) []string {
	then, taken := c.prospectInput(next, time.Now()), c.taken(next)
	wanted := steer.Desired(then)
	var left []string
	for _, cohort := range next.cohorts.All() {
		want := wanted.For(cohort)
		off := func(name topology.ServerName) bool { return taken(name, cohort) }
		leaves := slices.ContainsFunc(c.want.For(cohort).Servers, off) && !then.AnyEligible(cohort)
		if !leaves && !slices.ContainsFunc(want.Servers, off) {
			continue
		}
		for _, entry := range cohort.Entries {
			left = append(left, fmt.Sprintf("%s: %s", label(entry), want.Why))
		}
	}
	slices.Sort(left)
	return left
}

// believe brings down targets that failed before a move, and heeds who asked not to get it.
func (c *Controller) believe(results []health.Result) {
	var events []func() api.Event
	for _, result := range results {
		flips := disprove(c.board, result)
		c.noteFalls(flips)
		for _, flip := range flips {
			events = append(events, func() api.Event { return c.flipEvent(flip) })
			c.pace(flip.Target)
		}
	}
	if len(events) > 0 {
		c.decide(time.Now(), events...)
	}
}

// disprove brings down what failed a check that was made before a move, and heeds what
// asked for no new traffic.
func disprove(board *health.Board, result health.Result) []health.Flip {
	flips := board.Heed(result)
	for _, failed := range result.Failed() {
		flips = append(flips, board.BringDown(failed.Target, failed.Started.Add(failed.Took), "checked before a planned move: "+failure(failed))...)
	}
	return flips
}

// failure is what a result says, with its hint.
func failure(result health.Result) string {
	if result.Hint == "" {
		return result.Failure
	}
	return result.Failure + ": " + result.Hint
}

// label names an entry of the file: by its prefix, or the first of many.
func label(entry topology.Entry) string {
	if more := len(entry.Prefixes) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", entry.VIP.Prefix, more)
	}
	return entry.VIP.Prefix.String()
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
