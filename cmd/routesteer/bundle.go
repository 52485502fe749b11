package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/support"
)

// A bundle is what support-bundle prints as JSON.
type bundle struct {
	File    string   `json:"file"`
	Missing []string `json:"missing"` // what is not in it, and why; never null
}

func (a *app) bundleCommand() *cobra.Command {
	config := ""
	command := &cobra.Command{
		Use:   "support-bundle [FILE]",
		Short: "Put all that a helper needs to know into one archive",
		Long: `Put all that somebody needs to know who helps you into one gzipped tar: the
status, what would change, events, moves; the configuration; what this machine's
kernel has of routes, rules, next hops, neighbours and nftables; the journal of the
unit; what doctor finds; versions. It changes nothing. Without a controller it
holds what there is.

The file is readable by you alone, and holds no secrets that the configuration
holds: request headers, arguments of programs, passwords, tokens, keys, and what
comes after a host in a URL are taken out of every part. Comments of the
configuration are left out. Addresses and names stay: look before you publish it.`,
		Example: `  sudo routesteer support-bundle
  routesteer support-bundle /tmp/trouble.tar.gz -c site.yaml`,
		Args: atMost(1),
		RunE: func(command *cobra.Command, args []string) error {
			now := time.Now()
			file := "routesteer-" + now.UTC().Format("20060102T150405Z") + ".tar.gz"
			if len(args) > 0 {
				file = args[0]
			}
			return a.bundle(command.Context(), file, config, now)
		},
	}
	command.Flags().StringVarP(&config, "config", "c", defaultConfig, "the configuration file")
	return command
}

func (a *app) bundle(ctx context.Context, file, config string, now time.Time) error {
	clean, secrets, unread := a.cleanConfig(config)
	parts := append(a.controllerParts(), a.machineParts(config)...)
	parts = append(parts, support.Part{Name: "routesteer.yaml", Get: func(context.Context) ([]byte, error) { return clean, unread }})
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the archive: %w", err)
	}
	missing, err := support.Write(ctx, out, "routesteer-"+now.UTC().Format("20060102T150405Z"), now, parts, secrets)
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(file)) // half of it helps nobody
	}
	return a.printBundle(bundle{File: file, Missing: append([]string{}, missing...)})
}

// cleanConfig returns the configuration without its secrets, and these.
func (a *app) cleanConfig(config string) (clean []byte, secrets []string, err error) {
	data, err := a.readFile(config)
	if err != nil {
		return nil, nil, err
	}
	return support.Redact(data)
}
