package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/health/probe"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/topology"
)

func (a *app) checkCommand() *cobra.Command {
	config := ""
	command := &cobra.Command{
		Use:   "check [SERVER]",
		Short: "Probe a server, or all, once, now",
		Long: `Probe a server, or all servers, for each of its VIPs once, now, from the
router's side: the packets go to the VIP, by way of the server under test. All
servers are printed as a matrix, in which those that are alike share a line where
there are many; -o json has every result. A server that answers at its own address
and not at the VIP's probably lacks the VIP on loopback: see routesteer loopback.

The running controller is asked, and its verdicts are not influenced. With
--config no controller is needed, and none may run in this network namespace.

Exit code 0 when every check passed, 1 otherwise.`,
		Example: `  routesteer check
  routesteer check web1 && routesteer undrain web1
  routesteer check -c site.yaml`,
		Args:              atMost(1),
		ValidArgsFunction: a.completeServer,
		RunE: func(command *cobra.Command, args []string) error {
			server := ""
			if len(args) > 0 {
				server = args[0]
			}
			return a.check(command.Context(), config, server)
		},
	}
	command.Flags().StringVarP(&config, "config", "c", "", "probe what this configuration file says, without a controller")
	return command
}

func (a *app) check(ctx context.Context, config, server string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	results, err := a.askCheck(ctx, config, server)
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

func (a *app) askCheck(ctx context.Context, config, server string) ([]api.CheckResult, error) {
	if config == "" {
		return a.client().Check(ctx, server)
	}
	site, err := a.readSite(config)
	if err != nil {
		return nil, err
	}
	// A controller would use the same marks, rules and tables.
	lock, err := lockNamespace(a.lock)
	if err != nil {
		return nil, fmt.Errorf("%w, or leave out --config to ask it", err)
	}
	defer lock.Close()
	return checkAlone(ctx, site, topology.ServerName(server), slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

// checkAlone checks with senses of its own, which hear nothing but what they are
// asked for.
func checkAlone(ctx context.Context, site *topology.Site, server topology.ServerName, log *slog.Logger) (results []api.CheckResult, err error) {
	news := make(chan health.News)
	prober, err := probe.New(news, log)
	if err != nil {
		return nil, err
	}
	var reader sync.WaitGroup
	ended := make(chan struct{})
	reader.Go(func() { ignore(news, ended) })
	defer func() {
		if closing := prober.Close(); err == nil {
			err = closing
		}
		close(ended)
		reader.Wait()
	}()
	if err := prober.Set(idle(site)); err != nil {
		return nil, err
	}
	return controller.CheckOnce(ctx, prober, site, server)
}

// ignore reads news, for which the senses would wait.
func ignore(news <-chan health.News, ended <-chan struct{}) {
	for {
		select {
		case <-news:
		case <-ended:
			return
		}
	}
}

// idle is the site with nothing to do by itself.
func idle(site *topology.Site) *topology.Site {
	quiet := *site
	quiet.Alive.Off = true
	quiet.Checks = slices.Clone(site.Checks)
	for i := range quiet.Checks {
		check := &quiet.Checks[i]
		check.Interval, check.FastInterval, check.StandbyInterval, check.Watch = time.Hour, time.Hour, time.Hour, false
	}
	return &quiet
}
