package lab

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/client"
	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/bgp"
	"github.com/routesteer/routesteer/drivers/cisco"
	"github.com/routesteer/routesteer/drivers/linux"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/health/probe"
	"github.com/routesteer/routesteer/internal/control"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// runController is the real controller, put together as `routesteer run`
// does, for labs of tests.
func runController(args []string) error {
	flags := flag.NewFlagSet("lab-controller", flag.ContinueOnError)
	file := flags.String("c", "", "configuration")
	socket := flags.String("socket", "", "operators' socket")
	state := flags.String("state", "", "state file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	host := bgp.NewHost(filepath.Dir(*state), log)
	defer host.Close()
	c, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) {
			text, err := os.ReadFile(*file)
			if err != nil {
				return nil, err
			}
			return topology.Parse(*file, text)
		},
		Open: func(router topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
			if router.Cisco != nil {
				return cisco.Open(router, cohorts.Site(), cisco.Options{Log: log}), nil
			}
			if router.BGP != nil {
				return host.Open(router, cohorts.Site().VIPs)
			}
			driver, err := linux.Open(*router.Linux, cohorts.Prefixes(), log)
			if err != nil {
				return nil, err
			}
			driver.KeepFlows(-1, cohorts.Site().Policy.Drain)
			return driver, nil
		},
		Sense: func(news chan<- health.News, log *slog.Logger) (controller.Prober, error) {
			return probe.New(news, log)
		},
		StateFile: *state, Version: "lab-test", Log: log,
	})
	if err != nil {
		return err
	}
	listener, err := control.Listen(ctx, *socket, "")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- control.Serve(ctx, listener, c, log) }()
	err = c.Run(ctx)
	stop()
	return errors.Join(err, <-served)
}

// steered are options for a lab with the real controller.
func steered(options Options) Options {
	exe, err := os.Executable()
	if err != nil {
		panic("lab: " + err.Error())
	}
	options.Controller = []string{exe, "lab-controller"}
	options.Dial = func(socket string) api.Operator { return client.New(socket) }
	return options
}
