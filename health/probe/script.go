package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"github.com/routesteer/routesteer/internal/program"
	"github.com/routesteer/routesteer/topology"
)

const (
	maxOutput = 512                   // of a program, that is kept
	lastWords = 50 * time.Millisecond // for a program that is killed to be gone, and its output to be read
)

// A scriptCheck runs a program, and passes when that exits with 0.
type scriptCheck struct {
	launcher *launcher
	command  []string
	timeout  time.Duration
	server   topology.ServerName
	vip      netip.Addr // of the VIP, where the aim does not say
}

func newScriptCheck(l *launcher, plan plan) *scriptCheck {
	return &scriptCheck{
		launcher: l, command: plan.check.Script.Command, timeout: plan.check.Timeout,
		server: plan.target.Server, vip: plan.addresses[0],
	}
}

func (c *scriptCheck) run(l *leash, a aim) error {
	deadline := time.Now().Add(c.timeout)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	tether := &tether{cancel}
	if !l.hold(tether) {
		return errCut
	}
	defer l.release(tether)
	select {
	case c.launcher.slots <- struct{}{}:
	case <-ctx.Done():
		return c.outOfTime(l, deadline, fmt.Sprintf("%d programs of checks run already", maxPrograms))
	}
	output, ended := c.start(ctx, a)
	select {
	case err := <-ended:
		if err != nil && ctx.Err() != nil {
			return c.outOfTime(l, deadline, "waiting for the program")
		}
		return outcomeOf(err, output)
	case <-afterwards(ctx, lastWords): // it cannot be killed; its slot is taken until it ends
		return c.outOfTime(l, deadline, "waiting for the program, which cannot be killed")
	}
}

// start starts the program, and frees the slot when it has ended.
func (c *scriptCheck) start(ctx context.Context, a aim) (output *program.Beginning, ended <-chan error) {
	output, result := &program.Beginning{Limit: maxOutput}, make(chan error, 1)
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	program.Contain(cmd, lastWords, c.environment(a)...)
	cmd.Stdout, cmd.Stderr = output, output
	err := inspect(c.command[0])
	if err == nil {
		err = c.launcher.start(cmd)
	}
	if err != nil {
		<-c.launcher.slots
		result <- failf("not run: %v", err)
		return output, result
	}
	go func() { // it ends when the program does
		err := program.Wait(cmd)
		<-c.launcher.slots
		result <- err
	}()
	return output, result
}

// environment is what the program is told of the check.
func (c *scriptCheck) environment(a aim) []string {
	vip := c.vip
	if a.to != a.by {
		vip = a.to
	}
	environment := []string{
		"ROUTESTEER_SERVER=" + string(c.server),
		"ROUTESTEER_VIP=" + vip.String(),
		"ROUTESTEER_ADDRESS=" + a.by.String(),
	}
	if a.mark != 0 {
		environment = append(environment, fmt.Sprintf("ROUTESTEER_MARK=0x%x", a.mark))
	}
	return environment
}

func (c *scriptCheck) outOfTime(l *leash, deadline time.Time, during string) error {
	if l.broken() {
		return errCut
	}
	return timedOut(c.timeout, during, time.Since(deadline) > tolerance(c.timeout)+lastWords)
}

// outcomeOf is what a program's end means. What it has left behind with its output
// open is no failure.
func outcomeOf(err error, output *program.Beginning) error {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case !errors.As(err, &exit):
		return err
	}
	words := exit.ProcessState.String() // "exit status 1", "signal: killed"
	if line := firstLine(output); line != "" {
		words += ": " + line
	}
	return failf("%s", words)
}

func (c *scriptCheck) close() {}

// A tether lets a leash cancel a context.
type tether struct{ cancel context.CancelFunc }

func (t *tether) SetDeadline(time.Time) error {
	t.cancel()
	return nil
}

// afterwards is a channel that gets a value that long after ctx is done.
func afterwards(ctx context.Context, pause time.Duration) <-chan time.Time {
	deadline, _ := ctx.Deadline()
	return time.After(time.Until(deadline) + 2*pause)
}

// firstLine is the first line that is not empty, as it can be shown.
func firstLine(output *program.Beginning) string {
	first, _, _ := strings.Cut(strings.TrimSpace(output.String()), "\n")
	return plainText(first)
}
