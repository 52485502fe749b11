package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/internal/sweep"
	"github.com/routesteer/routesteer/topology"
)

// A cleaned is what cleanup prints as JSON.
type cleaned struct {
	DryRun bool `json:"dry_run"`
	sweep.Report
}

func (a *app) cleanupCommand() *cobra.Command {
	config, routes, dryRun := "", false, false
	command := &cobra.Command{
		Use:   "cleanup",
		Short: "Remove from this machine's kernel what a controller left there",
		Long: `Remove from this machine's kernel, in this network namespace, what routesteer
puts there and a killed controller leaves: policy rules and routing tables of
checks and of moves under way, nftables tables, nexthop objects that no route
uses. Connections that a move under way still keeps are cut by it. What is not
marked as routesteer's is left alone.

The routes of the VIPs stay, so that traffic flows as before, unless --routes is
given. It refuses while a controller runs. Doing it twice does no harm.

The numbers are those of the configuration; without a file, the defaults.

Exit code 0 when nothing of routesteer's is left, but for routes that stay; 1 when
something could not be removed, or nothing was tried.`,
		Example: `  routesteer cleanup --dry-run
  systemctl stop routesteer && routesteer cleanup --routes`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error {
			options, err := a.cleanupOptions(config, command.Flags().Changed("config"))
			if err != nil {
				return err
			}
			options.Routes, options.DryRun = routes, dryRun
			return a.cleanup(options)
		},
	}
	f := command.Flags()
	f.StringVarP(&config, "config", "c", defaultConfig, "the configuration file, for the numbers in use")
	f.BoolVar(&routes, "routes", false, "remove the routes of the VIPs, too: their traffic stops")
	f.BoolVar(&dryRun, "dry-run", false, "remove nothing, only say what would be")
	return command
}

// cleanupOptions takes the numbers from the file. If nobody named one, and the
// usual one is not there, they are the defaults.
func (a *app) cleanupOptions(config string, named bool) (sweep.Options, error) {
	if _, err := os.Stat(config); !named && errors.Is(err, fs.ErrNotExist) {
		paths, router := topology.DefaultNumbers()
		return sweep.Options{Paths: paths, Routers: []topology.Linux{router}}, nil
	}
	site, err := a.readSite(config)
	if err != nil {
		return sweep.Options{}, err
	}
	options := sweep.Options{Paths: site.Paths}
	for _, router := range site.Routers {
		if router.Linux != nil {
			options.Routers = append(options.Routers, *router.Linux)
		}
	}
	return options, nil
}

func (a *app) cleanup(options sweep.Options) error {
	lock, err := lockNamespace(a.lock)
	if err != nil {
		return err
	}
	defer lock.Close()
	report, err := sweep.Sweep(options)
	if err != nil {
		err = unclean(err)
	}
	answer := cleaned{DryRun: options.DryRun, Report: report}
	return errors.Join(err, a.print(answer, func(show.Style) string { return cleanupText(answer) }))
}

// unclean says what can be done about what could not be removed.
func unclean(err error) error {
	failure := &api.Error{Code: api.Internal, Message: "not everything was removed", Details: strings.Split(err.Error(), "\n")}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		failure.Hint = "it needs CAP_NET_ADMIN: run as root"
	}
	return failure
}

func cleanupText(answer cleaned) string {
	var b strings.Builder
	verb := "removed"
	if answer.DryRun {
		verb = "would remove"
	}
	for _, item := range answer.Removed {
		fmt.Fprintf(&b, "%s %s\n", verb, item.What)
	}
	if len(answer.Removed) == 0 {
		b.WriteString("nothing to remove\n")
	}
	if answer.Routes > 0 {
		fmt.Fprintf(&b, "%s of VIPs stay; --routes removes them\n", show.Plural(answer.Routes, "route"))
	}
	return b.String()
}
