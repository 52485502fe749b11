package main

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/doctor"
	"github.com/routesteer/routesteer/internal/show"
)

// A diagnosis is what doctor prints as JSON.
type diagnosis struct {
	OK     bool           `json:"ok"`
	Checks []doctor.Check `json:"checks"` // never null
}

func (a *app) doctorCommand() *cobra.Command {
	config := ""
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Find what on this machine keeps routesteer from working well",
		Long: `Look at this machine, in this network namespace, for what keeps routesteer from
working well for the site: rights, forwarding, the reverse path filter, how
multipath routes share, how much the kernel tells of moves of many prefixes,
nftables; routes and policy rules of other programs that take the VIPs' packets,
or the marks, rules and tables that are kept for routesteer; systemd-networkd and
NetworkManager where they remove what is not theirs. For each it says what is wrong, why it matters and the command that
mends it. It changes nothing, and needs no controller.

Exit code 0 when all is well, 1 otherwise.`,
		Example: `  routesteer doctor
  routesteer doctor -c site.yaml -o json | jq -r '.checks[].mend // empty'`,
		Args: atMost(0),
		RunE: func(*cobra.Command, []string) error { return a.doctor(config) },
	}
	command.Flags().StringVarP(&config, "config", "c", defaultConfig, "the configuration file")
	return command
}

func (a *app) doctor(config string) error {
	site, err := a.readSite(config)
	if err != nil {
		return err
	}
	machine, err := doctor.Look(site, nftablesUsable)
	if err != nil {
		return err
	}
	d := diagnosis{OK: true, Checks: doctor.Judge(site, machine)}
	for _, check := range d.Checks {
		d.OK = d.OK && check.OK
	}
	if err := a.print(d, func(show.Style) string { return doctorText(d) }); err != nil || d.OK {
		return err
	}
	return &exitError{code: 1}
}

// nftablesUsable asks for the tables, and makes none.
func nftablesUsable() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	_, err = conn.ListTables()
	return err
}

func doctorText(d diagnosis) string {
	var b strings.Builder
	for _, check := range d.Checks {
		if check.OK {
			fmt.Fprintf(&b, "ok   %s\n", check.Name)
			continue
		}
		fmt.Fprintf(&b, "BAD  %s: %s\n       why:  %s\n       mend: %s\n", check.Name, check.What, check.Why, check.Mend)
	}
	return b.String()
}
