package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/show"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain VIP",
		Short: "Tell why a VIP is where it is, and not elsewhere",
		Long: `Tell the whole story of one VIP, named by its prefix, an address in it, or its
name: where its traffic is wanted, why and since when; what happens next, and when;
each server of each tier in order, with its health, admin state and weight, and why
the traffic is there or is not; what each router does; and which connections are
left elsewhere.`,
		Example: `  routesteer explain 203.0.113.40
  routesteer explain shop -o json | jq '.servers[] | {server, role, why}'`,
		Args:              oneVIP,
		ValidArgsFunction: a.completeVIP,
		RunE: func(command *cobra.Command, args []string) error {
			return a.explain(command.Context(), args[0])
		},
	}
}

func (a *app) explain(ctx context.Context, word string) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	explanation, err := a.client().Explain(ctx, word)
	if err != nil {
		return err
	}
	return a.print(explanation, func(s show.Style) string { return show.Explanation(explanation, s) })
}

// oneVIP is the cobra.PositionalArgs of a command that takes a VIP.
func oneVIP(command *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return usageError(command, "which VIP? one prefix, address or name is wanted, %d are given", len(args))
}

// completeVIP is a cobra.CompletionFunc: the running controller's VIPs.
func (a *app) completeVIP(command *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	status := a.statusForCompletion(command.Context(), args)
	if status == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return vipCompletions(status), cobra.ShellCompDirectiveNoFileComp
}
