package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/topology"
)

// defaultConfig is the configuration that run and validate read unless told
// otherwise.
const defaultConfig = "/etc/routesteer/routesteer.yaml"

// A validation is what validate prints as JSON.
type validation struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok"`
	Servers  int       `json:"servers"`
	VIPs     int       `json:"vips"`
	Routers  int       `json:"routers"`
	Problems []problem `json:"problems"` // never null
}

// A problem is one fault of the file.
type problem struct {
	Line    int    `json:"line"`   // from 1; 0 is the whole file
	Column  int    `json:"column"` // from 1; 0 is the whole line
	Path    string `json:"path"`   // the key, such as vips[2].primary
	Message string `json:"message"`
}

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Find every error in a configuration file",
		Long: `Find every error in a configuration file, with its line and what would be
right. FILE is ` + defaultConfig + ` by default; - is standard input.

Exit code 0 when a controller would start with it, 1 otherwise.`,
		Example: `  routesteer validate site.yaml
  ssh edge cat /etc/routesteer/routesteer.yaml | routesteer validate -`,
		Args: atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := defaultConfig
			if len(args) > 0 {
				file = args[0]
			}
			return a.validate(file)
		},
	}
}

func (a *app) validate(file string) error {
	site, err := a.readSite(file)
	var problems topology.Problems
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	if len(problems) > 0 {
		return a.refuse(file, problems)
	}
	v := validation{File: file, OK: true, Servers: len(site.Servers), VIPs: len(site.VIPs), Routers: len(site.Routers), Problems: []problem{}}
	return a.print(v, func(show.Style) string {
		return fmt.Sprintf("%s: ok (%s, %s, %s)\n", file, show.Plural(v.Servers, "server"), show.Plural(v.VIPs, "VIP"), show.Plural(v.Routers, "router"))
	})
}

// refuse prints the problems: as JSON they are the answer, as text the error.
func (a *app) refuse(file string, problems topology.Problems) error {
	if a.output != asJSON {
		fmt.Fprintln(a.stderr, problems.Detail())
		return fmt.Errorf("%s: %s", file, show.Plural(len(problems), "problem"))
	}
	v := validation{File: file, Problems: []problem{}}
	for _, p := range problems {
		v.Problems = append(v.Problems, problem{p.Line, p.Column, p.Path, p.Message})
	}
	if err := writeJSON(a.stdout, v, "  "); err != nil {
		return err
	}
	return &exitError{code: 1}
}

// readSite reads and parses a file, or standard input for "-".
func (a *app) readSite(file string) (*topology.Site, error) {
	data, err := a.readFile(file)
	if err != nil {
		return nil, err
	}
	if file == "-" {
		file = "standard input"
	}
	return topology.Parse(file, data)
}

// readLimit keeps a device or an endless pipe from filling memory; Parse has
// a far lower limit and says so.
const readLimit = 64 << 20

// readFile fails with api.BadConfig: a file that cannot be read is none.
func (a *app) readFile(file string) ([]byte, error) {
	if file == "-" {
		return readAll(a.stdin)
	}
	opened, err := os.Open(file)
	if err != nil {
		return nil, unreadable(err)
	}
	defer opened.Close()
	return readAll(opened)
}

func readAll(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, readLimit))
	if err != nil {
		return nil, unreadable(err)
	}
	return data, nil
}

func unreadable(err error) error {
	return &api.Error{Code: api.BadConfig, Message: "read the configuration: " + err.Error()}
}
