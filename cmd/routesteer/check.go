package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/show"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [SERVER]",
		Short: "Probe a server, or all, once, now",
		Long: `Probe a server, or all servers, for each of its VIPs once, now, and print each
result. It has no influence on verdicts.

Exit code 0 when every check passed, 1 otherwise.`,
		Example: `  routesteer check
  routesteer check web1 && routesteer undrain web1`,
		Args:              atMost(1),
		ValidArgsFunction: a.completeServer,
		RunE: func(command *cobra.Command, args []string) error {
			server := ""
			if len(args) > 0 {
				server = args[0]
			}
			return a.check(command.Context(), server)
		},
	}
}

func (a *app) check(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	results, err := a.client().Check(ctx, server)
	if err != nil {
		return err
	}
	if err := a.print(results, func(s show.Style) string { return show.Checks(results, s) }); err != nil {
		return err
	}
	failed := 0
	for _, result := range results {
		if !result.OK {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, show.Plural(len(results), "check"))
	}
	return nil
}
