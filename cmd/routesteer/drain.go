package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

// proofTimeout is what a drain may take before it is accepted: standbys are
// checked first.
const proofTimeout = 30 * time.Second

// statusTimeout bounds requests that the controller answers from memory.
const statusTimeout = 10 * time.Second

func (a *app) drainCommand() *cobra.Command {
	request, timeout, wait, dry, until := api.DrainRequest{}, time.Duration(0), false, false, ""
	command := &cobra.Command{
		Use:   "drain SERVER...",
		Short: "Move servers' traffic away",
		Long: `Move the traffic of a server, or of several, away, before work on it. First it
is proven that others can carry the VIPs; if not, nothing is touched and the VIPs
are named. With --vip only that VIP's traffic moves. The drain is kept across
restarts until undrain. It returns when every router has confirmed, and says
where each VIP went.

With --until the drain ends by itself: after a time (2h), at a time (05:00,
"2026-12-01 05:00"), or by reboot: once the server has gone down, is back, and
has been well for as long as the failback policy wants. To drain again with a
reason or an end changes those.

New connections go elsewhere from then on. Where the router can, connections
that exist stay on the server until they end, at most for drain_timeout; with
--wait the command returns only then. With --cut they are ended at once, also
those of a drain that was there before.

Exit code 0 when the server gets no new traffic any more, also if it was
drained before; 1 when the drain is refused or a router has not confirmed in
time. With --wait: 0 idle, all connections have ended, or were silent for
drain_idle and are cut; 3 timed out, some were left after drain_timeout, and are
cut; 4 forced, some were cut before, because their server was lost, somebody
ended the move, or a router could not keep them.

With --dry-run nothing is changed: it says which VIPs would go where, and what
each server would carry then, from the state as it is, with the standbys checked
as a drain checks them. Exit code as if it were done: 1 when it would be refused.`,
		Example: `  routesteer drain web1 --reason "kernel update" --until reboot
  routesteer drain web1 web2 --vip shop --until 2h
  routesteer drain web1 --wait && ssh web1 reboot
  routesteer drain web1 --dry-run`,
		Args:              someServers,
		ValidArgsFunction: a.completeServers,
		RunE: func(command *cobra.Command, args []string) error {
			request.Servers, request.TimeoutMs = args, timeout.Milliseconds()
			if dry {
				return a.dryRun(command.Context(), "drain", args, request.VIPs, request.Force)
			}
			request.UntilReboot = until == untilReboot
			if !request.UntilReboot {
				end, err := readUntil(command, until, time.Now())
				if err != nil {
					return err
				}
				request.Until = end
			}
			return a.drain(command.Context(), request, wait)
		},
	}
	command.Flags().StringVar(&request.Reason, "reason", "", "why, for colleagues")
	command.Flags().StringArrayVar(&request.VIPs, "vip", nil, "only this VIP's traffic (may be given several times)")
	command.Flags().StringVar(&until, "until", "", "undrain by itself then: 2h, 05:00, \"2026-12-01 05:00\", reboot")
	command.Flags().BoolVar(&request.Force, "force", false, "even if a VIP is left without a server")
	command.Flags().BoolVar(&wait, "wait", false, "until no connection is left")
	command.Flags().BoolVar(&request.Cut, "cut", false, "end connections that are left")
	command.Flags().BoolVar(&dry, "dry-run", false, "only say what would move")
	command.MarkFlagsMutuallyExclusive("dry-run", "wait")
	command.MarkFlagsMutuallyExclusive("dry-run", "cut")
	addTimeout(command, &timeout)
	return command
}

func (a *app) undrainCommand() *cobra.Command {
	request, timeout, dry := api.UndrainRequest{}, time.Duration(0), false
	command := &cobra.Command{
		Use:   "undrain SERVER...",
		Short: "Put servers back in service",
		Long: `Put a server, or several, back in service. Traffic returns when the checks pass
and the failback policy allows. What was drained with --vip is undrained with it.
With --dry-run nothing is changed: it says what would move at once.`,
		Example: `  routesteer undrain web1
  routesteer undrain web1 web2 --vip shop
  routesteer undrain web1 -o json | jq .vips`,
		Args:              someServers,
		ValidArgsFunction: a.completeServers,
		RunE: func(command *cobra.Command, args []string) error {
			request.Servers, request.TimeoutMs = args, timeout.Milliseconds()
			if dry {
				return a.dryRun(command.Context(), "undrain", args, request.VIPs, true)
			}
			return a.wish(command.Context(), request.TimeoutMs, func(ctx context.Context, o api.Operator) (*api.Moved, error) { return o.Undrain(ctx, request) })
		},
	}
	command.Flags().StringArrayVar(&request.VIPs, "vip", nil, "only this VIP's traffic (may be given several times)")
	command.Flags().BoolVar(&dry, "dry-run", false, "only say what would move")
	addTimeout(command, &timeout)
	return command
}

func addTimeout(command *cobra.Command, timeout *time.Duration) {
	command.Flags().DurationVar(timeout, "timeout", 30*time.Second, "how long routers may take to confirm, up to 10m")
	command.PreRunE = func(command *cobra.Command, _ []string) error {
		if *timeout < time.Millisecond || *timeout > 10*time.Minute {
			return usageError(command, "--timeout is %s: want up to 10m", *timeout)
		}
		return nil
	}
}

func (a *app) drain(ctx context.Context, request api.DrainRequest, wait bool) error {
	since := time.Now()
	moved, err := a.ask(ctx, request.TimeoutMs, func(ctx context.Context, o api.Operator) (*api.Moved, error) { return o.Drain(ctx, request) })
	if err != nil {
		return err
	}
	wait = wait && moved.Confirmed
	if !wait || a.output != asJSON { // JSON is one answer, at the end
		err = a.printMoved(ctx, moved)
	}
	if err != nil || !wait {
		return err
	}
	if moved.Unchanged {
		status, err := a.status(ctx)
		if err != nil {
			return fmt.Errorf("find out since when %s is drained: %w", strings.Join(moved.Servers, " and "), err)
		}
		since = drainedSince(status, moved.Servers, since)
	}
	return a.await(ctx, moved, since)
}

// drainedSince is when the first of the servers was drained.
func drainedSince(status *api.Status, servers []string, since time.Time) time.Time {
	for _, server := range status.Servers {
		if slices.Contains(servers, server.Name) && server.Admin.Since.Before(since) {
			since = server.Admin.Since
		}
	}
	return since
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// printMoved prints what became of a wish, and fails if a router has not confirmed
// it.
func (a *app) printMoved(ctx context.Context, moved *api.Moved) error {
	err := a.print(moved, func(style show.Style) string {
		if !moved.Unchanged {
			return show.Moved(moved, style)
		}
		status, err := a.status(ctx)
		text := show.Already(moved, status) + "\n"
		if err != nil {
			text += fmt.Sprintf("by whom and since when is not known: %v\n", err)
		}
		return text + show.Unconfirmed(moved, style)
	})
	if err != nil || moved.Confirmed {
		return err
	}
	return &api.Error{
		Code:    api.Unconfirmed,
		Message: show.Did(moved) + ": it is kept, but not every router has confirmed",
		Hint:    "they are tried again and again; `routesteer status` says what is wrong",
	}
}

func (a *app) status(ctx context.Context) (*api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return a.client().Status(ctx)
}
