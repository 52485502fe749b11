package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/notify"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/topology"
)

func (a *app) notifyCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "notify",
		Short:   "Try who is told of events",
		Long:    "Try the notifiers that the configuration file lists under notify.",
		Example: `  routesteer notify test oncall`,
		Args:    atMost(0),
		RunE:    func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(a.notifyTestCommand())
	return command
}

func (a *app) notifyTestCommand() *cobra.Command {
	var config string
	command := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a test message by one notifier",
		Long: `Send a test message by one notifier of the configuration file, once, and say
what became of it. It is sent by this command, so no controller need run, and
the secrets must be within reach of whoever runs it: run it as the controller's
user.`,
		Example: `  routesteer notify test oncall
  routesteer notify test chat -c site.yaml`,
		Args:              words(1, "which notifier?"),
		ValidArgsFunction: a.completeNotifier(&config),
		RunE: func(command *cobra.Command, args []string) error {
			return a.notifyTest(command.Context(), config, args[0])
		},
	}
	command.Flags().StringVarP(&config, "config", "c", defaultConfig, "the configuration file")
	return command
}

// completeNotifier is a cobra.CompletionFunc: the file's notifiers.
func (a *app) completeNotifier(config *string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		site, err := a.readSite(*config)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return notifierNames(site), cobra.ShellCompDirectiveNoFileComp
	}
}

func notifierNames(site *topology.Site) []string {
	var names []string
	for _, n := range site.Notify {
		names = append(names, n.Name)
	}
	return names
}

// A notifyTested is what became of a test message.
type notifyTested struct {
	Notifier string  `json:"notifier"`
	TookMs   float64 `json:"took_ms"`
}

// notifyTest sends a test message.
func (a *app) notifyTest(ctx context.Context, config, name string) error {
	site, err := a.readSite(config)
	if err != nil {
		return err
	}
	for _, n := range site.Notify {
		if n.Name == name {
			return a.sendTest(ctx, n)
		}
	}
	failure := &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no notifier %q in %s", name, site.File)}
	if known := notifierNames(site); len(known) > 0 {
		failure.Details = []string{"known notifiers: " + strings.Join(known, ", ")}
		if near := topology.Nearest(name, known); len(near) > 0 {
			failure.Hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
	}
	return failure
}

func (a *app) sendTest(ctx context.Context, n topology.Notifier) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find out this machine's name: %w", err)
	}
	began := time.Now()
	if err := notify.Send(ctx, n, notify.Test(n.Name, host, began)); err != nil {
		return &api.Error{Code: api.Unavailable, Message: fmt.Sprintf("notifier %s: the test message was not delivered: %v", n.Name, err)}
	}
	took := time.Since(began)
	tested := notifyTested{Notifier: n.Name, TookMs: float64(took.Microseconds()) / 1000}
	return a.print(tested, func(show.Style) string {
		return fmt.Sprintf("%s: the test message was delivered in %s\n", n.Name, took.Round(time.Millisecond))
	})
}
