package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/drivers/cisco"
	"github.com/routesteer/routesteer/drivers/linux"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// linuxDialect is the word of --dialect for ip-route(8).
const linuxDialect = "linux"

// routerDialects are the words of --dialect.
func routerDialects() []string {
	words := []string{linuxDialect}
	for _, dialect := range topology.Dialects() {
		words = append(words, string(dialect))
	}
	slices.Sort(words)
	return words
}

// An initialConfig is what router config prints as JSON.
type initialConfig struct {
	Router  string   `json:"router,omitempty"`
	Dialect string   `json:"dialect"`
	Lines   []string `json:"lines"` // never empty
}

func (a *app) routerConfigCommand() *cobra.Command {
	config, dialect := "", ""
	command := &cobra.Command{
		Use:   "config [ROUTER]",
		Short: "Print a router's first routes",
		Long: `Print what gives a router the routes that the VIPs have while all servers are
well, marked as routesteer's own: it finds them there and moves them from then
on. For a router of the file in its own words; without ROUTER, or for the site's
only one, in those of --dialect: commands for a shell (linux), or lines to paste
at a router's privileged prompt.

It asks no router, no server and no controller, and changes nothing.`,
		Example: `  routesteer router config core -c site.yaml
  routesteer router config --dialect nxos
  routesteer router config --dialect linux | ssh edge sudo sh -e`,
		Args: atMost(1),
		RunE: func(command *cobra.Command, args []string) error {
			if dialect != "" && !slices.Contains(routerDialects(), dialect) {
				return usageError(command, "--dialect %s: want %s", dialect, strings.Join(routerDialects(), ", "))
			}
			return a.routerConfig(config, dialect, topology.RouterName(strings.Join(args, "")))
		},
	}
	command.Flags().StringVarP(&config, "config", "c", defaultConfig, "the configuration file")
	command.Flags().StringVar(&dialect, "dialect", "", "the words to use: "+strings.Join(routerDialects(), ", "))
	completeWords(command, "dialect", routerDialects())
	return command
}

func (a *app) routerConfig(config, dialect string, name topology.RouterName) error {
	site, err := a.readSite(config)
	if err != nil {
		return err
	}
	router, err := chooseRouter(site, dialect, name)
	if err != nil {
		return err
	}
	answer := initialConfig{Router: string(router.Name)}
	if router.Linux != nil {
		answer.Dialect, answer.Lines = linuxDialect, linux.Commands(*router.Linux, firstRoutes(site))
	} else {
		answer.Dialect = string(router.Cisco.Dialect)
		if answer.Lines, err = cisco.Config(*router.Cisco, site, firstRoutes(site)); err != nil {
			return err
		}
	}
	return a.print(answer, func(show.Style) string { return strings.Join(answer.Lines, "\n") + "\n" })
}

// chooseRouter is the router that was named, the only one, or one as the dialect
// has it by default.
func chooseRouter(site *topology.Site, dialect string, name topology.RouterName) (topology.Router, error) {
	if name == "" && dialect == "" && len(site.Routers) == 1 {
		name = site.Routers[0].Name
	}
	if name == "" && dialect == "" {
		return topology.Router{}, fmt.Errorf("which router? %s has %s; or give a --dialect", site.File, routerNames(site))
	}
	if name == "" {
		return withDialect(topology.Router{}, dialect), nil
	}
	router, known := site.Router(name)
	if !known {
		return topology.Router{}, fmt.Errorf("no router %q in %s: it has %s", name, site.File, routerNames(site))
	}
	if dialect == "" {
		return router, nil
	}
	return withDialect(router, dialect), nil
}

func routerNames(site *topology.Site) string {
	var names []string
	for _, router := range site.Routers {
		names = append(names, string(router.Name))
	}
	return strings.Join(names, ", ")
}

// withDialect is the router in the words of a dialect, with defaults for all that
// it does not say for those.
func withDialect(router topology.Router, dialect string) topology.Router {
	if dialect == linuxDialect {
		if router.Linux == nil {
			_, numbers := topology.DefaultNumbers()
			router.Linux, router.Cisco = &numbers, nil
		}
		return router
	}
	if router.Cisco == nil || string(router.Cisco.Dialect) != dialect {
		device := topology.DefaultCisco(topology.Dialect(dialect))
		router.Linux, router.Cisco = nil, &device
	}
	return router
}

// firstRoutes are the routes of a site whose servers are all well, as changes of
// a router that has none.
func firstRoutes(site *topology.Site) []steer.Change {
	cohorts := steer.NewCohorts(site)
	want := steer.Desired(steer.Input{Site: site, Cohorts: cohorts, Health: allWell{}, Now: time.Now()})
	return steer.Diff(want, steer.NewTable(cohorts, nil), steer.Terms{}).Changes
}

// allWell is the health of servers that are all well, and always were.
type allWell struct{}

func (allWell) State(health.Target) health.State { return health.State{Verdict: health.Up} }
func (allWell) Lost(netip.Addr) bool             { return false }
func (allWell) WellSince(netip.Addr) time.Time   { return time.Time{} }
