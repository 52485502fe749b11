package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/internal/lab"
	"github.com/routesteer/routesteer/internal/show"
)

// loadChoice is the value of --load.
type loadChoice string

const (
	loadAuto  loadChoice = "auto" // light, but off with --busy 0 and nothing established
	loadLight loadChoice = "light"
	loadOff   loadChoice = "off"
)

func (a *app) labSoakCommand() *cobra.Command {
	options, load := lab.SoakOptions{Busy: runtime.NumCPU()}, loadAuto
	command := &cobra.Command{
		Use:   "soak",
		Short: "Wait on a busy machine for nothing to happen",
		Long: `Build a lab, keep the machine's cores busy with other processes, make a light
load, and wait. Then say what moved, what the client lost, and what the
controller used of CPU and memory.

Exit code 0 when nothing moved; 1 otherwise, and what did is named.

With --busy 0 there is no load either, unless --established asks for some: that
measures an idle controller.`,
		Example: `  routesteer lab soak
  routesteer lab soak --profile fast --for 1h -o json
  routesteer lab soak --busy 0 --for 1m`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error {
			options.Idle = load == loadOff || load == loadAuto && options.Busy == 0 && options.Load.Established == 0
			return a.labSoak(command.Context(), options)
		},
	}
	labSiteFlags(command, &options.Lab)
	labLinksFlag(command, &options.Lab)
	labEstablishedFlag(command, &options.Load)
	flags := command.Flags()
	flags.DurationVar(&options.For, "for", 10*time.Minute, "how long")
	flags.Var(&wholeNumber{&options.Busy, 0, 10_000}, "busy", "processes that keep a core busy each")
	loads := &choice[loadChoice]{&load, []loadChoice{loadAuto, loadLight, loadOff}}
	flags.Var(loads, "load", "the client's: light, off, or auto, which is light unless --busy is 0")
	loads.complete(command, "load")
	return command
}

// labSoak prints the figures, also of a soak that saw something move.
func (a *app) labSoak(ctx context.Context, options lab.SoakOptions) error {
	if options.For <= 0 {
		return errors.New("--for: want a time longer than 0, as in --for 10m")
	}
	if err := a.prepareLab(&options.Lab); err != nil {
		return err
	}
	soak, err := lab.NewSoak(ctx, options, a.stderr)
	if err != nil {
		return err
	}
	return errors.Join(a.print(soak, func(show.Style) string { return soak.String() }), soak.Moved())
}
