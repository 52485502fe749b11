package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/show"
	"github.com/routesteer/routesteer/internal/whatif"
)

// exitUnserved is the exit code of a simulation at whose end a VIP has no server.
const exitUnserved = 2

// A simulation is what the flags of simulate ask for.
type simulation struct {
	config           string
	happenings       []happening
	oneLoss, twoLoss bool
	capacity         int
	limit            time.Duration
}

// A happening is a step, or a script of steps, in the order of the flags.
type happening struct{ what, text string }

// script is the happening that is a file of others.
const script = "script"

func (a *app) simulateCommand() *cobra.Command {
	s := &simulation{}
	command := &cobra.Command{
		Use:   "simulate",
		Short: "Try what would become of the site, and change nothing",
		Long: `Try what would become of the site if servers were lost, drained or back, and
change nothing. Steps are taken in the order of the flags, each when all of the one
before is done; servers with a comma between them go at once, and are one failure. Each step prints the
VIPs that would move, and why; what each server would carry then, beside its fair
share; and the VIPs that would be left without a server.

The running controller tries it on a copy of what it knows now. With --config no
controller is needed: all servers of the file are up, and every VIP is where it
belongs. "down" means that a server's checks fail for all its VIPs, "drain" is done as
by --force, and "after" lets time pass, so that failbacks happen. A script has one step
a line, as in "down web1", "drain web2,web3" or "after 60s"; what follows a # is a
comment, and - is standard input. It has what operators ask for besides:
"drain web1 of shop", "pin shop web2", "unpin shop", "failback shop", "resume".

--n-1 tries, after the steps, the loss of every server, --n-2 also that of every two
at once. They name the VIPs that would have no server, and the servers that would
carry more than 1.25 times their fair share and one, or more VIPs than --capacity.
A VIP that several servers share (ecmp) counts at each for the part that its weight
gives it.

Exit code 0 when every VIP has a server at the end, and after any loss that was
tried, and no loss gives a server more than --capacity, if that is given; 2 when not;
1 when nothing could be tried.`,
		Example: `  routesteer simulate --down web1 --after 60s --up web1 --after 60s
  routesteer simulate -c site.yaml --n-1
  routesteer simulate --drain web1,web2 --n-1 --capacity 40`,
		Args: atMost(0),
		RunE: func(command *cobra.Command, _ []string) error { return a.simulate(command.Context(), s) },
	}
	flags := command.Flags()
	flags.StringVarP(&s.config, "config", "c", "", "try what this configuration file says, without a controller")
	for _, verb := range []struct{ name, usage string }{
		{"down", "these servers are lost"}, {"up", "they are well again"},
		{"drain", "an operator drains them"}, {"undrain", "and puts them back in service"},
	} {
		flags.Var(&stepFlag{s, verb.name, "SERVER,…"}, verb.name, verb.usage)
		completeFlag(command, verb.name, a.completeServer)
	}
	flags.Var(&stepFlag{s, "after", "duration"}, "after", "so much time passes")
	flags.Var(&stepFlag{s, script, "FILE"}, script, "steps, one a line")
	flags.BoolVar(&s.oneLoss, "n-1", false, "try the loss of every server")
	flags.BoolVar(&s.twoLoss, "n-2", false, "and of every two")
	flags.IntVar(&s.capacity, "capacity", 0, "how many VIPs a server can carry; 0 for 1.25 times its fair share, and one")
	flags.DurationVar(&s.limit, "limit", time.Minute, "how long losses may be tried, up to 10m")
	return command
}

// A stepFlag is a flag of which each use is a step. It is a pflag.Value.
type stepFlag struct {
	simulation *simulation
	verb, kind string
}

func (*stepFlag) String() string { return "" }
func (f *stepFlag) Type() string { return f.kind }

func (f *stepFlag) Set(text string) error {
	f.simulation.happenings = append(f.simulation.happenings, happening{f.verb, text})
	return nil
}

func (a *app) simulate(ctx context.Context, s *simulation) error {
	request, err := a.simulateRequest(s)
	if err != nil {
		return err
	}
	answer, err := a.askSimulate(ctx, s, request)
	if err != nil {
		return err
	}
	if err := a.print(answer, func(style show.Style) string { return show.Simulation(answer, style) }); err != nil {
		return err
	}
	if harmed(answer) {
		return &exitError{code: exitUnserved}
	}
	return nil
}

// harmed reports whether a VIP has no server, or a server more than it can carry.
func harmed(answer *api.Simulation) bool {
	for _, losses := range answer.Losses {
		if losses.Strand > 0 || answer.Capacity > 0 && losses.Overload > 0 {
			return true
		}
	}
	return len(answer.End().Unserved) > 0
}

func (a *app) simulateRequest(s *simulation) (api.SimulateRequest, error) {
	request := api.SimulateRequest{Capacity: s.capacity, LimitMs: s.limit.Milliseconds()}
	if s.oneLoss {
		request.Losses = 1
	}
	if s.twoLoss {
		request.Losses = 2
	}
	for _, h := range s.happenings {
		steps := []string{h.what + " " + h.text}
		if h.what == script {
			var err error
			if steps, err = a.readScript(h.text); err != nil {
				return request, err
			}
		}
		request.Steps = append(request.Steps, steps...)
	}
	return request, nil
}

func (a *app) readScript(file string) ([]string, error) {
	text, err := a.readFile(file)
	if err != nil {
		return nil, &api.Error{Code: api.BadRequest, Message: "read the script: " + err.Error()}
	}
	steps, err := whatif.ParseScript(string(text))
	if err != nil {
		return nil, &api.Error{Code: api.BadRequest, Message: fmt.Sprintf("%s: %v", file, err)}
	}
	return steps, nil
}

func (a *app) askSimulate(ctx context.Context, s *simulation, request api.SimulateRequest) (*api.Simulation, error) {
	if s.config == "" {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout+s.limit)
		defer cancel()
		return a.client().Simulate(ctx, request)
	}
	site, err := a.readSite(s.config)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(s.limit)
	return whatif.Fresh(site, time.Now()).Simulate(request, func() bool { return ctx.Err() != nil || time.Now().After(until) })
}

// dryRun says what a drain or undrain would do, and fails if it would be refused
// and is not forced.
func (a *app) dryRun(ctx context.Context, verb string, servers, vips []string, force bool) error {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	step := verb + " " + strings.Join(servers, ",")
	if len(vips) > 0 {
		step += " of " + strings.Join(vips, ",")
	}
	answer, err := a.client().Simulate(ctx, api.SimulateRequest{Steps: []string{step}, Prove: true})
	if err != nil {
		return err
	}
	if err := a.print(answer, func(style show.Style) string { return show.DryRun(answer, style) }); err != nil || force {
		return err
	}
	for _, taken := range answer.Steps {
		if len(taken.Refused) > 0 {
			return &api.Error{
				Code:    api.Refused,
				Message: fmt.Sprintf("%s would be refused: no other server can carry %d of the VIPs", taken.Step, len(taken.Refused)),
				Details: taken.Refused,
				Hint:    "mend a standby first (routesteer check shows them), or use --force",
			}
		}
	}
	return nil
}
