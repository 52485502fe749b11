package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/drivers/bgp"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/health/probe"
	"github.com/routesteer/routesteer/internal/control"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/metrics"
	"github.com/routesteer/routesteer/internal/notify"
	"github.com/routesteer/routesteer/internal/page"
	"github.com/routesteer/routesteer/internal/web"
	"github.com/routesteer/routesteer/topology"
)

// eventsName is the name of the file of events beside the state file.
const eventsName = "events.jsonl"

// runFlags are the flags of run.
type runFlags struct {
	config      string
	state       string
	events      string
	socketGroup string
	logFormat   string
	logLevel    slog.Level
}

func (a *app) runCommand() *cobra.Command {
	flags := &runFlags{}
	command := &cobra.Command{
		Use:   "run",
		Short: "Run the controller",
		Long: `Run the controller until it is stopped. It adopts the routes that it finds,
and leaves them in place when it stops: without it, traffic flows as before. In
each network namespace one controller can run.

SIGHUP reads the configuration again, SIGTERM and SIGINT stop it. Under systemd
use Type=notify; with WatchdogSec=, a controller that hangs is restarted.`,
		Example: `  routesteer run
  routesteer run -c site.yaml --socket ./r.sock --state ./state.json --log-level debug`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error {
			if !command.Flags().Changed("events") {
				flags.events = filepath.Join(filepath.Dir(flags.state), eventsName)
			}
			return a.run(command.Context(), flags)
		},
	}
	f := command.Flags()
	f.StringVarP(&flags.config, "config", "c", defaultConfig, "the configuration file")
	f.StringVar(&flags.state, "state", "/var/lib/routesteer/state.json", "where drains are kept across restarts")
	f.StringVar(&flags.events, "events", "", "where events are kept across restarts, in two files of 8 MiB at most; \"\" for nowhere (default "+eventsName+" beside the state file)")
	f.StringVar(&flags.socketGroup, "socket-group", "", "the group that may use the socket besides its owner")
	f.StringVar(&flags.logFormat, "log-format", "text", "text or json")
	f.TextVar(&flags.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	return command
}

// run runs the controller and the operators' door until ctx ends or one of
// them fails.
func (a *app) run(ctx context.Context, flags *runFlags) error {
	log, err := a.newLog(flags)
	if err != nil {
		return err
	}
	began := time.Now()
	collectEarly()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // before the start, which it would otherwise end
	defer signal.Stop(hup)

	// Before all that others may see: two controllers would fight.
	lock, err := lockNamespace(a.lock)
	if err != nil {
		return err
	}
	defer lock.Close()
	listener, err := control.Listen(ctx, a.socket, flags.socketGroup)
	if err != nil {
		return err
	}
	defer listener.Close() // again after Serve, which is no harm
	host := bgp.NewHost(filepath.Dir(flags.state), log)
	defer host.Close() // when the controller has ended
	c, err := a.newController(flags, log, host)
	if err != nil {
		return err
	}
	hub := notify.New(notify.Options{Operator: c, Sites: c.Sites, Warn: c.Warn, After: began, Log: log})
	systemd := newNotifier(os.Getenv)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.Run(ctx) })
	group.Go(func() error { return control.Serve(ctx, listener, c, log) })
	shown := metrics.New(metrics.Options{Operator: c, Tally: tallyOf(c, hub)})
	group.Go(func() error { shown.Follow(ctx); return nil })
	group.Go(func() error { web.Serve(ctx, webOptions(ctx, c, shown, log)); return nil })
	group.Go(func() error { return hub.Run(ctx) })
	group.Go(func() error { return reloadOn(ctx, hup, c, systemd, log) })
	group.Go(func() error { return systemd.attend(ctx, c.Running(), c) })
	return group.Wait()
}

// tallyOf is what the controller and its notifiers have counted.
func tallyOf(c *controller.Controller, hub *notify.Hub) func(context.Context) (*api.Tally, error) {
	return func(ctx context.Context) (*api.Tally, error) {
		tally, err := c.Tally(ctx)
		if err == nil {
			tally.Notifiers = hub.Tally()
		}
		return tally, err
	}
}

// webOptions are what is offered by HTTP, if the site's file says that anything is.
func webOptions(ctx context.Context, c *controller.Controller, shown http.Handler, log *slog.Logger) web.Options {
	return web.Options{
		Sites: c.Sites(ctx), Operator: c, Page: page.Handler(), Metrics: shown, Log: log,
		// A controller that is stopping warns of nothing more.
		Warn: func(ctx context.Context, text string) { _ = c.Warn(ctx, "http", text) },
	}
}

// collectEarly makes the heap grow to half above what lives, unless GOGC says
// otherwise. Nearly all of it is the site, which lives long, so collections are
// rare anyway; but each look at a hundred thousand routes leaves garbage as large
// as that, which would stay resident.
func collectEarly() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func (a *app) newController(flags *runFlags, log *slog.Logger, host *bgp.Host) (*controller.Controller, error) {
	if err := os.MkdirAll(filepath.Dir(flags.state), 0o755); err != nil {
		return nil, fmt.Errorf("make the state file's directory: %w", err)
	}
	return controller.New(controller.Options{
		Load: func() (*topology.Site, error) { return a.readSite(flags.config) },
		Open: openDriver(log, filepath.Dir(flags.state), host),
		Sense: func(news chan<- health.News, log *slog.Logger) (controller.Prober, error) {
			return probe.New(news, log)
		},
		StateFile:  flags.state,
		EventsFile: flags.events,
		Version:    thisBuild().Version,
		Log:        log,
	})
}

// reloadOn reads the configuration again after each SIGHUP.
func reloadOn(ctx context.Context, hup <-chan os.Signal, c api.Operator, systemd *notifier, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
		}
		systemd.reloading()
		_, err := c.Reload(ctx, api.ReloadRequest{By: "SIGHUP"})
		// The controller records a refused file itself, with its problems.
		if failure := (*api.Error)(nil); err != nil && !(errors.As(err, &failure) && failure.Code == api.BadConfig) {
			log.Warn("reload", "err", err)
		}
		systemd.ready()
	}
}
