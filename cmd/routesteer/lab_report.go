package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/lab"
)

func (a *app) labReportCommand() *cobra.Command {
	options := lab.ReportOptions{Repeat: 1, Load: lab.LoadOptions{Requests: lab.DefaultRequests, Packets: lab.DefaultPackets}}
	command := &cobra.Command{
		Use:   "report",
		Short: "Measure what clients lose to each kind of fault",
		Long: `Measure what clients lose to each kind of fault: each run builds a lab, loads
it with new HTTP connections and UDP packets, does the fault, and waits until
service is whole again. Runs are told on standard error as they end.

With --established the client also keeps connections on which it makes a request
every one to two seconds, and counts those that break: reset, ended, answered
wrongly, or not answered for two seconds. drain-twice then drains the server that
took over, drain-undrain takes the drain back, and in drain-lose that server
crashes, each while connections of both servers are open. drain-by-hand, with
--router frr, is the same drain by a script that types "no ip route" and 100 ms
later "ip route", with no controller: what others lose.

Faults: ` + strings.Join(lab.FaultNames(), ", ") + `.`,
		Example: `  routesteer lab report
  routesteer lab report --profile fast --fault crash,freeze --repeat 5 -o json
  routesteer lab report --router frr --packets 4000 --fault drain,drain-by-hand
  routesteer lab report --ipv6 --vips 1000 --fault drain
  routesteer lab report --established 5000 --packets 50000 --fault drain,drain-twice`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error { return a.labReport(command.Context(), options) },
	}
	flags := command.Flags()
	flags.Var(&wholeNumber{&options.Repeat, 1, 1000}, "repeat", "runs of each fault")
	labSiteFlags(command, &options.Lab)
	labEstablishedFlag(command, &options.Load)
	flags.Var(&wholeNumber{&options.Load.Requests, 1, 10_000}, "requests", "new connections a second to each of the first four VIPs")
	flags.Var(&wholeNumber{&options.Load.Packets, 1, 200_000}, "packets", "UDP packets a second to the VIP under test")
	flags.StringSliceVar(&options.Faults, "fault", nil, "only these faults, with commas")
	return command
}

// labReport prints the runs that were done, also if a later one failed.
func (a *app) labReport(ctx context.Context, options lab.ReportOptions) error {
	if err := a.prepareLab(&options.Lab); err != nil {
		return err
	}
	rows, err := lab.Report(ctx, options, a.stderr)
	if rows == nil {
		rows = []lab.Row{} // never null
	}
	if a.output == asJSON {
		return errors.Join(err, writeJSON(a.stdout, rows, "  "))
	}
	return errors.Join(err, lab.WriteTable(a.stdout, rows))
}

// labNodeCommand is what the lab runs in its namespaces.
func (a *app) labNodeCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "lab-node",
		Short:              "Be a server or client of a lab; the lab runs this itself",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(command *cobra.Command, args []string) error {
			return lab.Node(command.Context(), args, a.stdin, a.stdout)
		},
	}
}
