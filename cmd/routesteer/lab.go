package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/client"
	"github.com/routesteer/routesteer/internal/lab"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/show"
)

func (a *app) labCommand() *cobra.Command {
	options, tour := lab.Options{}, false
	command := &cobra.Command{
		Use:   "lab",
		Short: "Build a whole site on this machine, with real packets, and break it",
		Long: `Build a whole site on this machine from nothing, in network namespaces: a
router with the real controller, four web servers with their VIPs, a client. No
root is needed where user namespaces are allowed. Ctrl-C removes everything.

On a terminal it shows live status, and from another terminal servers can be
broken, restored and drained: it says how. With --router frr the router's routes
are FRR's, and the controller steers them over SSH; with --router bird they are
BIRD's, with --router frr-bgp FRR's, and it announces them by BGP. With --tour, or without a terminal,
it plays a day's story under load, tells each step with its figures, and exits
with 0 when everything held.`,
		Example: `  routesteer lab
  routesteer lab crash web2          (in another terminal)
  routesteer lab --tour
  routesteer lab --ipv6 --vips 100
  routesteer lab --router frr          (as root, with the packages frr and openssh-server)
  routesteer lab --router bird         (with the package bird2)
  routesteer lab --router frr-bgp      (as --router frr)`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error { return a.lab(command.Context(), options, tour) },
	}
	command.Flags().IntVar(&options.ID, "id", 0, "number of the lab; 0 is the lowest free one")
	labSiteFlags(command, &options)
	labLinksFlag(command, &options)
	command.Flags().BoolVar(&tour, "tour", false, "play the story instead")
	for _, action := range lab.Actions() {
		command.AddCommand(a.labActionCommand(action))
	}
	command.AddCommand(a.labReportCommand(), a.labSoakCommand())
	return command
}

// lab builds a lab and shows it, or gives the tour.
func (a *app) lab(ctx context.Context, options lab.Options, tour bool) (err error) {
	if err := a.prepareLab(&options); err != nil {
		return err
	}
	if _, tty := a.terminal(); tour || !tty {
		return lab.Tour(ctx, lab.TourOptions{Lab: options}, a.stdout)
	}
	l, err := lab.Start(ctx, options)
	if err != nil {
		return unlessInterrupted(ctx, err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.WaitReady(ctx); err != nil {
		return unlessInterrupted(ctx, err)
	}
	return a.watch(ctx, l.Operator, labBanner(l), "")
}

// unlessInterrupted forgets an error that only says that the operator pressed
// Ctrl-C: that is how a lab ends.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// prepareLab gets the rights that a lab needs, and says how to run its
// controller: with this program.
func (a *app) prepareLab(options *lab.Options) error {
	if err := netns.Enter(); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	options.Controller = []string{exe, "run"}
	options.Dial = func(socket string) api.Operator { return client.New(socket) }
	return nil
}

// labBanner says what can be done to the lab from another terminal.
func labBanner(l *lab.Lab) string {
	var actions []string
	for _, action := range lab.Actions() {
		actions = append(actions, string(action))
	}
	return fmt.Sprintf(`lab %d; Ctrl-C removes it. In another terminal:
  export %s=%s
  routesteer drain SERVER
  routesteer lab %s SERVER --id %d

`, l.ID, socketVariable, l.Paths.Socket, strings.Join(actions, "|"), l.ID)
}

func (a *app) labActionCommand(action lab.Action) *cobra.Command {
	id := 0
	command := &cobra.Command{
		Use:   string(action) + " SERVER",
		Short: "In a running lab, " + labActionHelp(action),
		Example: fmt.Sprintf(`  routesteer lab %s web1
  routesteer lab %s web2 --id 2`, action, action),
		Args: words(1, "which server?"),
		ValidArgsFunction: func(command *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return labServers(command.Context(), id, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(command *cobra.Command, args []string) error {
			status, err := lab.Do(command.Context(), id, action, args[0])
			if err != nil {
				return err
			}
			return a.print(status, func(show.Style) string { return labText(status) })
		},
	}
	command.Flags().IntVar(&id, "id", 0, "number of the lab; 0 is the only one that runs")
	return command
}

// labServers completes the servers of a running lab.
func labServers(ctx context.Context, id int, args []string) []cobra.Completion {
	if len(args) > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	status, err := lab.Ask(ctx, id)
	if err != nil {
		return nil
	}
	var names []cobra.Completion
	for _, server := range status.Servers {
		names = append(names, cobra.CompletionWithDesc(server.Name, server.Address))
	}
	return names
}

func labActionHelp(action lab.Action) string {
	switch action {
	case lab.Crash:
		return "kill a server's process: its port is closed"
	case lab.Freeze:
		return "stop a server's process: connections are accepted and nobody answers"
	case lab.Unplug:
		return "take a server's link down"
	case lab.Block:
		return "drop a server's IP packets, while ARP still answers"
	case lab.RemoveVIP:
		return "remove from a server the VIPs that it is a backup for"
	case lab.Restore:
		return "undo all that was done to a server"
	default:
		return string(action)
	}
}

// labText lists the servers and what was done to them.
func labText(status lab.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "lab %d, controller %s\n", status.ID, status.Controller)
	for _, server := range status.Servers {
		done := "ok"
		if len(server.Faults) > 0 {
			done = strings.Trim(fmt.Sprint(server.Faults), "[]")
		}
		fmt.Fprintf(&b, "  %s  %s  %s\n", server.Name, server.Address, done)
	}
	return b.String()
}
