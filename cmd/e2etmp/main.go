package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/drivers/linux"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/health/probe"
	"github.com/routesteer/routesteer/internal/api"
	"github.com/routesteer/routesteer/internal/control"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/internal/lab"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/topology"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch os.Args[1] {
	case "lab-node":
		err = lab.Node(ctx, os.Args[2:], os.Stdin, os.Stdout)
	case "run":
		err = run(ctx)
	case "report":
		if err = netns.Enter(); err != nil {
			break
		}
		exe, _ := os.Executable()
		rows, e := lab.Report(ctx, lab.ReportOptions{Lab: lab.Options{Profile: lab.Profile(os.Args[2]), Controller: []string{exe, "run"},
			Dial: func(s string) api.Operator { return control.NewClient(s) }}, Faults: strings.Split(os.Args[3], ","), Repeat: 2}, os.Stderr)
		lab.WriteTable(os.Stdout, rows)
		err = e
	case "tour":
		netns.Enter()
		exe, _ := os.Executable()
		err = lab.Tour(ctx, lab.TourOptions{Lab: lab.Options{Controller: []string{exe, "run"}, Dial: func(s string) api.Operator { return control.NewClient(s) }}}, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	arg := map[string]string{}
	for i := 2; i+1 < len(os.Args); i += 2 {
		arg[os.Args[i]] = os.Args[i+1]
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	c, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) {
			data, err := os.ReadFile(arg["-c"])
			if err != nil {
				return nil, err
			}
			return topology.Parse(arg["-c"], data)
		},
		Open: func(r topology.Router, s *topology.Site) (drivers.Driver, error) {
			var p []netip.Prefix
			for _, v := range s.VIPs {
				p = append(p, v.Prefix)
			}
			return linux.Open(*r.Linux, p, log)
		},
		Sense:     func(n chan<- health.News, l *slog.Logger) (controller.Prober, error) { return probe.New(n, l) },
		StateFile: arg["--state"], Version: "tmp", Log: log,
	})
	if err != nil {
		return err
	}
	ln, err := control.Listen(ctx, arg["--socket"], "")
	if err != nil {
		return err
	}
	go control.Serve(ctx, ln, c, log)
	return c.Run(ctx)
}
