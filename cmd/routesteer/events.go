package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/show"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	var since uint64
	command := &cobra.Command{
		Use:   "events",
		Short: "Show who and what changed when, and why",
		Long: `Show the events that the controller remembers, oldest first: who and what
changed when, and why. With -o json, each line is one event.`,
		Example: `  routesteer events --follow
  routesteer events -o json | jq -r 'select(.kind == "route") | .vip'`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.events(command.Context(), since, follow)
		},
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until interrupted")
	command.Flags().Uint64Var(&since, "since", 0, "only events after this sequence number (-o json shows it as seq)")
	return command
}

func (a *app) events(ctx context.Context, since uint64, follow bool) error {
	style := a.style()
	for event, err := range a.client().Events(ctx, since, follow) {
		if err != nil {
			return err
		}
		if a.output == asJSON {
			err = writeJSON(a.stdout, event, "")
		} else {
			_, err = fmt.Fprintln(a.stdout, show.Event(event, style))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
