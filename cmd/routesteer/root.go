package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/client"
)

// An app is what the commands of one command line share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	output         format
	socket         string
	url            string // of a controller elsewhere; "" for the socket
	credentials    client.Credentials
	flags          *pflag.FlagSet // of all commands
	lock           string         // the name that a controller's lock has
}

const socketVariable = "ROUTESTEER_SOCKET"

// rootCommand returns the whole tree of commands.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "routesteer",
		Short: "Keep virtual IPs reachable by changing routes",
		Long: `routesteer watches the servers that carry a site's virtual IPs (VIPs) and
makes the routers send each VIP to one that works. It changes routes, never
addresses.

Exit codes: 0 done, 1 failed; plan: 2 when something would change; simulate: 2
when a VIP would be left without a server.`,
		Example: `  routesteer lab                 a whole site on this machine, to try it
  routesteer run -c site.yaml    the controller
  routesteer status              what is, at a glance
  routesteer drain web1          before a reboot
  routesteer drain web1 --url https://router:8443 --token-file /etc/routesteer/token
                                 the same, on web1 itself`,
		SilenceErrors: true, // report prints them
		SilenceUsage:  true,
	}
	socket := client.DefaultSocket
	if value := os.Getenv(socketVariable); value != "" {
		socket = value
	}
	flags := root.PersistentFlags()
	flags.VarP(&a.output, "output", "o", "how to print: text or json")
	flags.StringVar(&a.socket, "socket", socket, "the controller's socket (or "+socketVariable+")")
	a.addRemoteFlags(flags)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return usageError(command, "%v", err)
	})
	completeWords(root, "output", formats())
	root.AddCommand(
		a.runCommand(), a.validateCommand(), a.schemaCommand(),
		a.statusCommand(), a.topCommand(), a.explainCommand(), a.planCommand(), a.simulateCommand(), a.drainCommand(), a.undrainCommand(),
		a.pinCommand(), a.unpinCommand(), a.failbackCommand(), a.resumeCommand(),
		a.checkCommand(), a.reloadCommand(), a.eventsCommand(), a.notifyCommand(), a.pageCommand(), a.cleanupCommand(), a.doctorCommand(), a.routerCommand(),
		a.bundleCommand(), a.loopbackCommand(), a.dnsCommand(), a.labCommand(), a.labNodeCommand(), a.versionCommand(),
	)
	return root
}

// someServers is the cobra.PositionalArgs of a command that takes servers.
func someServers(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return usageError(command, "which server? a name is wanted")
}

// words is the cobra.PositionalArgs of a command that takes n words.
func words(n int, question string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usageError(command, "%s %d %s wanted, %d given", question, n, plural(n, "name is", "names are"), len(args))
	}
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// atMost is the cobra.PositionalArgs of a command that takes up to n words.
func atMost(n int) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return usageError(command, "what is %q? at most %d arguments are wanted", args[n], n)
	}
}

func usageError(command *cobra.Command, format string, args ...any) error {
	message := fmt.Sprintf(format, args...) + "; see `" + command.CommandPath() + " --help`"
	return &api.Error{Code: api.BadRequest, Message: message}
}
