package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
)

// followLast is how many of the events that are kept are shown before new ones, when
// nobody says from where.
const followLast = 10

// eventsFlags are the flags of events.
type eventsFlags struct {
	since   string
	request api.EventsRequest
}

func (a *app) eventsCommand() *cobra.Command {
	flags := &eventsFlags{}
	command := &cobra.Command{
		Use:   "events",
		Short: "Show who and what changed when, and why",
		Long: `Show the events that the controller keeps, oldest first: who and what changed
when, and why. They are kept across restarts. With several flags, an event is
shown that all of them admit; of a flag that is given several times, one is
enough. With -o json, each line is one event.

SEVERITIES
  info      it goes as it should
  notice    somebody may want to know: an operator's word, a failback
  warning   something is wrong, and VIPs are served
  critical  VIPs are not served, or will not be if anything else happens`,
		Example: `  routesteer events --since 2h --severity warning
  routesteer events --follow --server web1
  routesteer events --vip mail --kind assignment --kind route
  routesteer events -o json | jq -r 'select(.kind == "route") | .vip'`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := flags.check(command, time.Now()); err != nil {
				return err
			}
			return a.events(command.Context(), flags.request)
		},
	}
	r, f := &flags.request, command.Flags()
	f.BoolVarP(&r.Follow, "follow", "f", false, fmt.Sprintf("go on with new events until interrupted; without --since or -n, after the last %d", followLast))
	f.StringVar(&flags.since, "since", "", "only later events: than a time ago (2h), a time (05:00, \"2026-12-01 05:00\"), or a sequence number (seq in -o json)")
	f.IntVarP(&r.Last, "lines", "n", 0, "only the last so many of those that are kept; 0 for all")
	f.StringArrayVar(&r.Servers, "server", nil, "only events about this server, and moves to it or from it")
	f.StringArrayVar(&r.VIPs, "vip", nil, "only events about this VIP: a name, a prefix, or an address")
	f.StringArrayVar(&r.Routers, "router", nil, "only events about this router")
	f.StringArrayVar(&r.Kinds, "kind", nil, "only events of this kind")
	f.StringVar(&r.Severity, "severity", "", "only events of this severity at least")
	completeFlag(command, "server", a.completeServers)
	completeFlag(command, "vip", a.completeVIP)
	completeWords(command, "kind", api.EventKinds())
	completeWords(command, "severity", api.Severities())
	return command
}

// check completes the request, and finds fault with words that mean nothing.
func (f *eventsFlags) check(command *cobra.Command, now time.Time) error {
	for _, kind := range f.request.Kinds {
		if !slices.Contains(api.EventKinds(), kind) {
			return usageError(command, "--kind is %q: want one of %s", kind, strings.Join(api.EventKinds(), ", "))
		}
	}
	if severity := f.request.Severity; severity != "" && !slices.Contains(api.Severities(), severity) {
		return usageError(command, "--severity is %q: want one of %s", severity, strings.Join(api.Severities(), ", "))
	}
	if f.request.Last < 0 {
		return usageError(command, "-n is %d: want 0 or more", f.request.Last)
	}
	if f.request.Follow && f.since == "" && !command.Flags().Changed("lines") {
		f.request.Last = followLast
	}
	return f.readSince(command, now)
}

// readSince reads what --since says: a sequence number, how long ago, or a time of the
// past.
func (f *eventsFlags) readSince(command *cobra.Command, now time.Time) (err error) {
	if f.since == "" {
		return nil
	}
	if f.request.Since, err = strconv.ParseUint(f.since, 10, 64); err == nil {
		return nil
	}
	f.request.Since = 0
	if f.request.After, err = readPast(f.since, now); err != nil {
		return usageError(command, "--since is %q: %v", f.since, err)
	}
	return nil
}

// events shows the events that are asked for.
func (a *app) events(ctx context.Context, request api.EventsRequest) error {
	style := a.style()
	for event, err := range a.client().Events(ctx, request) {
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
