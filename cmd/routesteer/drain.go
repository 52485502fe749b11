package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/api"
	"github.com/routesteer/routesteer/internal/show"
)

// proofTimeout is what a drain may take before it is accepted: standbys are
// checked first.
const proofTimeout = 30 * time.Second

// statusTimeout bounds requests that the controller answers from memory.
const statusTimeout = 10 * time.Second

func (a *app) drainCommand() *cobra.Command {
	request, timeout, wait := api.DrainRequest{}, time.Duration(0), false
	command := &cobra.Command{
		Use:   "drain SERVER",
		Short: "Move a server's traffic away",
		Long: `Move a server's traffic away, before work on it. First it is proven that
others can carry its VIPs; if not, nothing is touched and the VIPs are named.
The drain is kept across restarts until undrain. It returns when every router
has confirmed, and says where each VIP went.

New connections go elsewhere from then on. Where the router can, connections
that exist stay on the server until they end, at most for drain_timeout; with
--wait the command returns only then. With --cut they are ended at once, also
those of a drain that was there before.

Exit code 0 when the server gets no new traffic any more, also if it was
drained before; 1 when the drain is refused or a router has not confirmed in
time. With --wait: 0 idle, all connections have ended, or were silent for
drain_idle and are cut; 3 timed out, some were left after drain_timeout, and are
cut; 4 forced, some were cut before, because their server was lost, somebody
ended the move, or a router could not keep them.`,
		Example: `  routesteer drain web1 --reason "kernel update"
  routesteer drain web1 --wait && ssh web1 reboot`,
		Args:              oneServer,
		ValidArgsFunction: a.completeServer,
		RunE: func(command *cobra.Command, args []string) error {
			request.Server, request.TimeoutMs = args[0], timeout.Milliseconds()
			return a.drain(command.Context(), request, wait)
		},
	}
	command.Flags().StringVar(&request.Reason, "reason", "", "why, for colleagues")
	command.Flags().BoolVar(&request.Force, "force", false, "even if a VIP is left without a server")
	command.Flags().BoolVar(&wait, "wait", false, "until no connection is left")
	command.Flags().BoolVar(&request.Cut, "cut", false, "end connections that are left")
	addTimeout(command, &timeout)
	return command
}

func (a *app) undrainCommand() *cobra.Command {
	timeout := time.Duration(0)
	command := &cobra.Command{
		Use:   "undrain SERVER",
		Short: "Put a server back in service",
		Long: `Put a server back in service. Its traffic returns when its checks pass and
the failback policy allows.`,
		Example: `  routesteer undrain web1
  routesteer undrain web1 -o json | jq .vips`,
		Args:              oneServer,
		ValidArgsFunction: a.completeServer,
		RunE: func(command *cobra.Command, args []string) error {
			return a.undrain(command.Context(), api.UndrainRequest{Server: args[0], TimeoutMs: timeout.Milliseconds()})
		},
	}
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
	moved, err := a.askDrain(ctx, request)
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
		admin, _, err := a.adminOf(ctx, moved.Server)
		if err != nil {
			return fmt.Errorf("find out since when %s is drained: %w", moved.Server, err)
		}
		since = admin.Since
	}
	return a.await(ctx, moved, since)
}

func (a *app) askDrain(ctx context.Context, request api.DrainRequest) (*api.Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, milliseconds(request.TimeoutMs)+proofTimeout)
	defer cancel()
	return a.client().Drain(ctx, request)
}

func (a *app) undrain(ctx context.Context, request api.UndrainRequest) error {
	ctx, cancel := context.WithTimeout(ctx, milliseconds(request.TimeoutMs)+proofTimeout)
	defer cancel()
	moved, err := a.client().Undrain(ctx, request)
	if err != nil {
		return err
	}
	return a.printMoved(ctx, moved)
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// printMoved prints what became of a drain or undrain, and fails if a router
// has not confirmed it.
func (a *app) printMoved(ctx context.Context, moved *api.Moved) error {
	err := a.print(moved, func(style show.Style) string {
		if !moved.Unchanged {
			return show.Moved(moved, style)
		}
		admin, now, err := a.adminOf(ctx, moved.Server)
		text := show.Already(moved, admin, now) + "\n"
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
		Message: fmt.Sprintf("%s: admin state %s is kept, but not every router has confirmed", moved.Server, moved.Admin),
		Hint:    "they are tried again and again; `routesteer status` says what is wrong",
	}
}

// adminOf returns who drained a server, when and why, and what time it is there.
func (a *app) adminOf(ctx context.Context, name string) (api.Admin, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := a.client().Status(ctx)
	if err != nil {
		return api.Admin{}, time.Time{}, err
	}
	for _, server := range status.Servers {
		if server.Name == name {
			return server.Admin, status.Time, nil
		}
	}
	return api.Admin{}, status.Time, nil
}
