package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/scripts"
	"github.com/routesteer/routesteer/topology"
)

// loopbackFlags are the flags of loopback.
type loopbackFlags struct {
	config string
	format string // auto lets the host decide
	out    string // a directory; "" prints the script
	listen string // a dialect; "" prints no listen lines
}

// hostFormats are the words of scripts/loopback-setup for --format.
func hostFormats() []string {
	return []string{"auto", "ifcfg", "nm", "netplan", "networkd", "ifupdown", "wicked", "script"}
}

// A loopback is what the command prints as JSON: of the last three, what was
// asked for.
type loopback struct {
	Server    string       `json:"server"`
	Addresses []netip.Addr `json:"addresses"` // never empty
	Script    string       `json:"script,omitempty"`
	Listen    []string     `json:"listen,omitempty"` // lines of a web server's configuration
	Out       string       `json:"out,omitempty"`    // the directory that the files were written to
}

func (a *app) loopbackCommand() *cobra.Command {
	flags := &loopbackFlags{}
	command := &cobra.Command{
		Use:   "loopback SERVER",
		Short: "Put a server's VIPs on its loopback",
		Long: `Print a shell script that puts the VIPs of a server on its loopback, and
removes those that it put there before and that are no longer the server's. Run
it on the server as root: it needs sh and ip there, finds out how the host is
configured, and changes nothing when all is well. It takes options: --check,
--dry-run, --remove; see its --help.

With --out it writes the host's files below a directory instead. With --listen
it prints the lines that make a web server listen on the VIPs.`,
		Example: `  routesteer loopback web1 -c site.yaml | ssh web1 sudo sh
  routesteer loopback web1 | ssh web1 sudo sh -s -- --check
  routesteer loopback web1 --format netplan --out ./files/web1
  routesteer loopback web1 --listen nginx`,
		Args:              words(1, "which server?"),
		ValidArgsFunction: a.completeServer,
		RunE: func(command *cobra.Command, args []string) error {
			if err := flags.check(command); err != nil {
				return err
			}
			return a.loopback(command.Context(), topology.ServerName(args[0]), flags)
		},
	}
	f := command.Flags()
	f.StringVarP(&flags.config, "config", "c", defaultConfig, "the configuration file; - is standard input")
	f.StringVar(&flags.format, "format", "auto", "of the host's files: "+strings.Join(hostFormats(), ", "))
	f.StringVar(&flags.out, "out", "", "write the host's files below this directory")
	f.StringVar(&flags.listen, "listen", "", "print listen lines for nginx or apache")
	completeWords(command, "format", hostFormats())
	completeWords(command, "listen", dialects())
	return command
}

func (f *loopbackFlags) check(command *cobra.Command) error {
	switch {
	case !slices.Contains(hostFormats(), f.format):
		return usageError(command, "--format %s: want %s", f.format, strings.Join(hostFormats(), ", "))
	case f.listen != "" && !slices.Contains(dialects(), f.listen):
		return usageError(command, "--listen %s: want %s", f.listen, strings.Join(dialects(), " or "))
	case f.listen != "" && (f.out != "" || command.Flags().Changed("format")):
		return usageError(command, "--listen prints lines and makes no host files: leave out --format and --out")
	case f.out != "" && f.format == "auto":
		return usageError(command, "--out cannot see how the host is configured: say it with --format")
	}
	return nil
}

func (a *app) loopback(ctx context.Context, server topology.ServerName, flags *loopbackFlags) error {
	site, err := a.readSite(flags.config)
	if err != nil {
		return err
	}
	vips, err := carried(site, server)
	if err != nil {
		return err
	}
	answer := loopback{Server: string(server)}
	for _, vip := range vips {
		answer.Addresses = append(answer.Addresses, vip.Addresses...)
	}
	script := scripts.LoopbackSetup(flags.format, answer.Addresses...)
	switch {
	case flags.listen != "":
		answer.Listen = listenLines(site, vips, flags.listen)
		return a.print(answer, func(show.Style) string { return strings.Join(answer.Listen, "\n") + "\n" })
	case flags.out != "":
		answer.Out = flags.out
		return a.writeHost(ctx, answer, script)
	}
	answer.Script = script
	return a.print(answer, func(show.Style) string { return script })
}

// carried returns the VIPs that a server must carry: those in whose tiers it
// is, one for each entry of the file. There is at least one.
func carried(site *topology.Site, server topology.ServerName) ([]topology.VIP, error) {
	if _, known := site.Server(server); !known {
		return nil, unknownServer(site, server)
	}
	var vips []topology.VIP
	for _, entry := range site.Entries() {
		if slices.Contains(entry.VIP.Servers(), server) {
			vips = append(vips, entry.VIP)
		}
	}
	if len(vips) == 0 {
		return nil, &api.Error{Code: api.NotFound, Message: fmt.Sprintf("%s carries no VIP: it is in no tier in %s", server, site.File),
			Hint: "to take away what it has: loopback-setup --remove, on the server"}
	}
	return vips, nil
}

func unknownServer(site *topology.Site, word topology.ServerName) error {
	var names []string
	for _, server := range site.Servers {
		names = append(names, string(server.Name))
	}
	failure := &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no server %q in %s", word, site.File),
		Details: []string{"servers: " + strings.Join(names, ", ")}}
	if near := topology.Nearest(string(word), names); len(near) > 0 {
		failure.Hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return failure
}

// writeHost runs the script here, with another root directory.
func (a *app) writeHost(ctx context.Context, answer loopback, script string) error {
	if err := os.MkdirAll(answer.Out, 0o755); err != nil {
		return fmt.Errorf("make the directory for the host's files: %w", err)
	}
	command := exec.CommandContext(ctx, "sh", "-s", "--", "--root", answer.Out)
	command.Stdin = strings.NewReader(script)
	command.Stdout, command.Stderr = a.stdout, a.stderr
	if a.output == asJSON {
		command.Stdout = io.Discard
	}
	if err := command.Run(); err != nil {
		return fmt.Errorf("write the host's files to %s: loopback-setup: %w", answer.Out, err)
	}
	return a.print(answer, func(show.Style) string { return "" }) // the script has said it
}
