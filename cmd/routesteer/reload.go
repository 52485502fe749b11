package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make the controller read its configuration again",
		Long: `Make the running controller read its configuration again, and say what is
different. A file with problems changes nothing: they are printed, and the
running configuration stays.`,
		Example: `  routesteer validate site.yaml && routesteer reload
  routesteer reload -o json | jq -r '.changes[]'`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error { return a.reload(command.Context()) },
	}
}

func (a *app) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	reloaded, err := a.client().Reload(ctx, api.ReloadRequest{})
	if err != nil {
		return err
	}
	return a.print(reloaded, func(show.Style) string { return show.Reloaded(reloaded) })
}
