package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/routesteer/routesteer/internal/program"
	"github.com/routesteer/routesteer/internal/thread"
	"github.com/routesteer/routesteer/topology"
)

const (
	maxOutput = 1024                   // of a program, or of an answer, that is kept
	lastWords = 500 * time.Millisecond // for the output of a program that has ended, or was killed
)

// A starter starts a program for each message. One that fails is not started again: nobody knows
// what it has done.
type starter struct{ config topology.NotifyExec }

func (s starter) send(ctx context.Context, message Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	output := &program.Beginning{Limit: maxOutput}
	err := unprivileged(func() error { return s.run(ctx, message, output) })
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		err = fmt.Errorf("it was killed after %s", s.config.Timeout)
	}
	if line := firstLine(output); line != "" {
		err = fmt.Errorf("%w: %s", err, line)
	}
	return &fault{err: fmt.Errorf("run %s: %w", s.config.Command[0], err), final: true}
}

// run runs the program, and kills at its end, or at ctx's, what it has started.
func (s starter) run(ctx context.Context, message Message, output *program.Beginning) error {
	input, err := json.Marshal(message)
	if err != nil {
		panic("notify: cannot write a message as JSON: " + err.Error())
	}
	cmd := exec.CommandContext(ctx, s.config.Command[0], s.config.Command[1:]...)
	program.Contain(cmd, lastWords, environment(message)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), output, output
	if err := cmd.Start(); err != nil {
		return err
	}
	return program.Wait(cmd)
}

// unprivileged runs f on a thread of its own that has given up its capabilities, and
// ends with f: what f starts has none.
func unprivileged(f func() error) error {
	result := make(chan error, 1)
	thread.Alone(func() {
		if err := program.Renounce(); err != nil {
			result <- err
			return
		}
		result <- f()
	})
	return <-result
}

// environment is what the program is told of the message.
func environment(m Message) []string {
	return []string{
		"ROUTESTEER_NOTIFIER=" + m.Notifier,
		"ROUTESTEER_HOST=" + m.Host,
		"ROUTESTEER_STATUS=" + m.Status,
		"ROUTESTEER_SEVERITY=" + m.Severity,
		"ROUTESTEER_TITLE=" + m.Title,
		"ROUTESTEER_TEXT=" + m.Text,
		"ROUTESTEER_EVENTS=" + strconv.Itoa(m.Total),
	}
}

// firstLine is the first line that is not empty, as it can be shown.
func firstLine(output *program.Beginning) string {
	for line := range strings.SplitSeq(output.String(), "\n") {
		if line = strings.TrimSpace(oneLine(strings.ToValidUTF8(line, "\ufffd"))); line != "" {
			return cut(line, maxTitle)
		}
	}
	return ""
}
