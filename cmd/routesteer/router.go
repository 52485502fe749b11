package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/routesteer/routesteer/drivers/cisco"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/topology"
)

func (a *app) routerCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "router",
		Short: "Prepare routers",
	}
	command.AddCommand(a.routerConfigCommand(), a.routerTrustCommand())
	return command
}

func (a *app) routerTrustCommand() *cobra.Command {
	config, yes := "", false
	command := &cobra.Command{
		Use:   "trust ROUTER",
		Short: "Store the host key of a router that is reached by SSH",
		Long: `Show the host key of a router that is reached by SSH and, once you have said
that it is the right one, store it in the router's known_hosts file. Compare the
fingerprint with what the router itself shows at its console, for example by
"show ip ssh" or "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub".

A key that differs from one that is stored is never taken: if the router was
replaced, remove the old line first.`,
		Example: `  routesteer router trust core
  routesteer router trust core -c site.yaml`,
		Args: oneRouter,
		RunE: func(command *cobra.Command, args []string) error {
			return a.trust(command.Context(), config, topology.RouterName(args[0]), yes)
		},
	}
	command.Flags().StringVarP(&config, "config", "c", defaultConfig, "the configuration file")
	command.Flags().BoolVar(&yes, "yes", false, "store it without asking: for an address that nobody else can answer at")
	return command
}

func oneRouter(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one router, got %d", len(args))
	}
	return nil
}

// A trusted is the answer of router trust.
type trusted struct {
	Router      string `json:"router"`
	Address     string `json:"address"`
	Kind        string `json:"kind"`
	Fingerprint string `json:"fingerprint"`
	KnownHosts  string `json:"known_hosts"`
	Known       bool   `json:"known"`  // before
	Stored      bool   `json:"stored"` // now
}

func (a *app) trust(ctx context.Context, config string, name topology.RouterName, yes bool) error {
	cfg, err := a.sshRouter(config, name)
	if err != nil {
		return err
	}
	key, err := cisco.AskHostKey(ctx, cfg)
	if err != nil {
		return fmt.Errorf("router %s: %w", name, err)
	}
	answer := trusted{string(name), key.Address, key.Kind, key.Fingerprint, cfg.KnownHosts, key.Known, false}
	if !key.Known {
		if err := a.confirm(yes, fmt.Sprintf("Router %s at %s has the host key\n  %s %s\nIs that what the router's own console shows? Store it in %s? [y/N] ",
			name, key.Address, key.Kind, key.Fingerprint, cfg.KnownHosts)); err != nil {
			return err
		}
		if err := cisco.Remember(cfg, key); err != nil {
			return err
		}
		answer.Stored = true
	}
	return a.print(answer, func(show.Style) string {
		if answer.Known {
			return fmt.Sprintf("the host key of %s is known: %s\n", name, key.Fingerprint)
		}
		return fmt.Sprintf("stored the host key of %s in %s: %s\n", name, cfg.KnownHosts, key.Fingerprint)
	})
}

// sshRouter finds a router that is reached by SSH.
func (a *app) sshRouter(config string, name topology.RouterName) (topology.Cisco, error) {
	site, err := a.readSite(config)
	if err != nil {
		return topology.Cisco{}, err
	}
	var names []string
	for _, router := range site.Routers {
		if router.Cisco == nil {
			continue
		}
		if router.Name == name {
			return *router.Cisco, pinned(router)
		}
		names = append(names, string(router.Name))
	}
	if len(names) == 0 {
		return topology.Cisco{}, fmt.Errorf("%s has no router that is reached by SSH", config)
	}
	return topology.Cisco{}, fmt.Errorf("%s has no router %q that is reached by SSH; it has %s", config, name, strings.Join(names, ", "))
}

// pinned refuses to store a key that nobody would look at.
func pinned(router topology.Router) error {
	if router.Cisco.HostKey == "" {
		return nil
	}
	return fmt.Errorf("router %s: the file says host_key, so no key is looked for in known_hosts", router.Name)
}

// confirm asks a person; --yes has answered already.
func (a *app) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if file, ok := a.stdin.(*os.File); ok && !term.IsTerminal(int(file.Fd())) {
		return errors.New("nobody is here to confirm it: run this on a terminal, or with --yes")
	}
	fmt.Fprint(a.stderr, question)
	line, err := bufio.NewReader(io.LimitReader(a.stdin, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
		return errors.New("not stored")
	}
	return nil
}
