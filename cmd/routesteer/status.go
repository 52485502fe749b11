package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

// lastEvents is how many events a detail view shows.
const lastEvents = 10

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	command := &cobra.Command{
		Use:   "status [SERVER|VIP]",
		Short: "Show the state of the site, or all about one server or VIP",
		Long: `Show the state of the site: first a line that says whether all is well, or
what is not; then servers, VIPs, routers and warnings. With a server's name, or
a VIP's prefix, name or any of its addresses, show all about that one.

With --watch it is drawn again every second and after every event; when
standard output is no terminal, as one block after the other, and with -o json
as one line each.`,
		Example: `  routesteer status --watch
  routesteer status web1
  routesteer status 203.0.113.40 -o json`,
		Args:              atMost(1),
		ValidArgsFunction: a.completeSubject,
		RunE: func(command *cobra.Command, args []string) error {
			word := ""
			if len(args) > 0 {
				word = args[0]
			}
			if watch {
				return a.watch(command.Context(), a.client(), "", word)
			}
			v, err := look(command.Context(), a.client(), word)
			if err != nil {
				return err
			}
			return a.print(v.value, v.text)
		},
	}
	command.Flags().BoolVarP(&watch, "watch", "w", false, "draw it again and again")
	return command
}

// A view is one look at a site, to be shown as JSON or as text.
type view struct {
	value any
	text  func(show.Style) string
}

// look asks for the status, and for the events of the subject that word
// names, unless word is "".
func look(ctx context.Context, operator api.Operator, word string) (view, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := operator.Status(ctx)
	if err != nil {
		return view{}, err
	}
	if word == "" {
		return view{status, func(s show.Style) string { return show.Status(status, s) }}, nil
	}
	subject, err := find(status, word)
	if err != nil {
		return view{}, err
	}
	events, err := eventsOf(ctx, operator, subject)
	if err != nil {
		return view{}, err
	}
	if subject.server != nil {
		return view{subject.server, func(s show.Style) string { return show.Server(*subject.server, status.Time, events, s) }}, nil
	}
	return view{subject.vip, func(s show.Style) string { return show.VIP(status, *subject.vip, events, s) }}, nil
}

// eventsOf returns the last events that concern the subject.
func eventsOf(ctx context.Context, operator api.Operator, subject subject) ([]api.Event, error) {
	request := api.EventsRequest{Last: lastEvents}
	if subject.server != nil {
		request.Servers = []string{subject.server.Name}
	} else {
		request.VIPs = []string{subject.vip.Prefix}
	}
	var events []api.Event
	for event, err := range operator.Events(ctx, request) {
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}
