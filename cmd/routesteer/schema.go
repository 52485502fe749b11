package main

import (
	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/topology"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration file",
		Long: `Print the JSON Schema of the configuration file. An editor that knows it
completes keys and marks mistakes while you type; validate finds more.`,
		Example: `  routesteer schema > routesteer.schema.json
  sed -i '1i # yaml-language-server: $schema=./routesteer.schema.json' site.yaml`,
		Args: atMost(0),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(topology.Schema())
			return err
		},
	}
}
