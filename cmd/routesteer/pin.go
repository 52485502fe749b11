package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
)

func (a *app) pinCommand() *cobra.Command {
	request, until, timeout := api.PinRequest{}, "", time.Duration(0)
	command := &cobra.Command{
		Use:   "pin VIP SERVER",
		Short: "Keep a VIP at one server",
		Long: `Keep a VIP at one server, until unpin. The VIP is named by its name, its prefix
or an address in it. The server is checked first: a pin to one that cannot carry
the VIP is refused.

While the server is down or drained, the pin steps aside: traffic goes where it
would without it, and returns as soon as the server is well. With --force the
traffic stays with the server whatever becomes of it. Pins are kept across
restarts, and status tells of each as long as it lasts.

Exit code 0 when every router has confirmed; 1 when the pin is refused or a
router has not confirmed in time.`,
		Example: `  routesteer pin shop web2 --reason "cache is warm there" --until 2h
  routesteer pin 203.0.113.32/27 web1`,
		Args:              words(2, "which VIP, and which server?"),
		ValidArgsFunction: a.completePin,
		RunE: func(command *cobra.Command, args []string) (err error) {
			request.VIP, request.Server, request.TimeoutMs = args[0], args[1], timeout.Milliseconds()
			if request.Until, err = readUntil(command, until, time.Now()); err != nil {
				return err
			}
			return a.wish(command.Context(), request.TimeoutMs, func(ctx context.Context, o api.Operator) (*api.Moved, error) { return o.Pin(ctx, request) })
		},
	}
	command.Flags().StringVar(&request.Reason, "reason", "", "why, for colleagues")
	command.Flags().StringVar(&until, "until", "", "unpin by itself then: 2h, 05:00, \"2026-12-01 05:00\"")
	command.Flags().BoolVar(&request.Force, "force", false, "though the server is down, and whatever becomes of it")
	addTimeout(command, &timeout)
	return command
}

func (a *app) unpinCommand() *cobra.Command {
	return a.wishing(&cobra.Command{
		Use:   "unpin VIP",
		Short: "End a pin",
		Long: `End a pin. The VIP's traffic returns to where it belongs as the failback policy
allows.`,
		Example: `  routesteer unpin shop
  routesteer unpin 203.0.113.32/27 -o json | jq .vips`,
		Args:              words(1, "which VIP?"),
		ValidArgsFunction: a.completeSubject,
	}, func(ctx context.Context, o api.Operator, args []string, timeoutMs int64) (*api.Moved, error) {
		return o.Unpin(ctx, api.UnpinRequest{VIP: args[0], TimeoutMs: timeoutMs})
	})
}

func (a *app) failbackCommand() *cobra.Command {
	return a.wishing(&cobra.Command{
		Use:   "failback [VIP|SERVER]...",
		Short: "Let traffic return to better servers now",
		Long: `Let traffic return now to better servers that are well, whatever the failback
policy waits for: manual, never, a time of health, or a time of day. Without a
name, all traffic; with names, that of those VIPs, or to those servers. Nothing
is kept: it is for what is waiting now.`,
		Example: `  routesteer failback
  routesteer failback shop web1`,
		ValidArgsFunction: a.completeSubject,
	}, func(ctx context.Context, o api.Operator, args []string, timeoutMs int64) (*api.Moved, error) {
		return o.Failback(ctx, api.FailbackRequest{Of: args, TimeoutMs: timeoutMs})
	})
}

func (a *app) resumeCommand() *cobra.Command {
	return a.wishing(&cobra.Command{
		Use:   "resume",
		Short: "Act on failures that came together",
		Long: `Act on failures that came together. When most servers of most VIPs are lost at
about the same time, routesteer moves nothing: more likely the controller is cut
off, or what all servers share has failed. This says that they are really lost:
their traffic goes to the servers that are left. Failures that come later are
judged anew.`,
		Example: `  routesteer resume
  routesteer resume -o json | jq .vips`,
		Args: atMost(0),
	}, func(ctx context.Context, o api.Operator, _ []string, timeoutMs int64) (*api.Moved, error) {
		return o.Resume(ctx, api.ResumeRequest{TimeoutMs: timeoutMs})
	})
}

// wishing makes a command that asks for something and prints what became of it.
func (a *app) wishing(command *cobra.Command, ask func(ctx context.Context, o api.Operator, args []string, timeoutMs int64) (*api.Moved, error)) *cobra.Command {
	timeout := time.Duration(0)
	command.RunE = func(command *cobra.Command, args []string) error {
		return a.wish(command.Context(), timeout.Milliseconds(), func(ctx context.Context, o api.Operator) (*api.Moved, error) {
			return ask(ctx, o, args, timeout.Milliseconds())
		})
	}
	addTimeout(command, &timeout)
	return command
}

// wish asks for something and prints what became of it.
func (a *app) wish(ctx context.Context, timeoutMs int64, ask func(context.Context, api.Operator) (*api.Moved, error)) error {
	moved, err := a.ask(ctx, timeoutMs, ask)
	if err != nil {
		return err
	}
	return a.printMoved(ctx, moved)
}

func (a *app) ask(ctx context.Context, timeoutMs int64, ask func(context.Context, api.Operator) (*api.Moved, error)) (*api.Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, milliseconds(timeoutMs)+proofTimeout)
	defer cancel()
	return ask(ctx, a.client())
}
