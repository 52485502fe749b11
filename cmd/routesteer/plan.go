package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/show"
)

// lookTimeout bounds requests for which the controller asks routers or
// servers.
const lookTimeout = time.Minute

func (a *app) planCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Show what would change on the routers now, and the exact commands",
		Long: `Show what the running controller would change on the routers now, from a
fresh look at them, with the exact commands. It changes nothing.

Exit code 0 when there is nothing to change, 2 when there is, 1 on failure.
Foreign routes that keep VIPs from being steered are listed, but are not
changes: they alone make it 0.`,
		Example: `  routesteer plan
  routesteer plan -o json | jq -r '.commands[]'`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error { return a.plan(command.Context()) },
	}
}

func (a *app) plan(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	plan, err := a.client().Plan(ctx)
	if err != nil {
		return err
	}
	if err := a.print(plan, func(s show.Style) string { return show.Plan(plan, s) }); err != nil {
		return err
	}
	if len(plan.Changes) > 0 {
		return &exitError{code: 2}
	}
	return nil
}
