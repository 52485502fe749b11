package whatif

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/internal/api"
	"github.com/routesteer/routesteer/topology"
)

// Limits that keep an answer within what can be read and sent.
const (
	maxSteps = 200
	maxAfter = 7 * 24 * time.Hour // a week of patience
)

// A Step is one thing that happens to a site.
type Step struct {
	Verb    Verb
	Servers []topology.ServerName // all at once; at least one, unless Verb is After
	For     time.Duration         // of After
}

// A Verb is the kind of a Step.
type Verb string

// What can happen.
const (
	Down    Verb = "down"    // the checks of servers fail, for all VIPs
	Up      Verb = "up"      // they pass
	Drain   Verb = "drain"   // an operator takes servers out of service, as by --force
	Undrain Verb = "undrain" // and back in
	After   Verb = "after"   // time passes, and failbacks become due
)

// String is the Step as a script has it.
func (s Step) String() string {
	if s.Verb == After {
		return "after " + s.For.String()
	}
	names := make([]string, len(s.Servers))
	for i, name := range s.Servers {
		names[i] = string(name)
	}
	return string(s.Verb) + " " + strings.Join(names, ",")
}

// ParseScript reads one step a line. What follows a # is a comment. An error
// says which line is wrong, and what would be right.
func ParseScript(script string) ([]string, error) {
	var steps []string
	number := 0
	for line := range strings.Lines(script) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if _, err := parseStep(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		steps = append(steps, line)
	}
	return steps, nil
}

// Parse reads the steps, and finds fault with servers that the site does not
// have. Errors are *api.Error.
func Parse(site *topology.Site, texts []string) ([]Step, error) {
	if len(texts) > maxSteps {
		return nil, badRequest("%d steps are more than %d", len(texts), maxSteps)
	}
	steps := make([]Step, len(texts))
	for i, text := range texts {
		step, err := parseStep(text)
		if err == nil {
			err = known(site, step)
		}
		if err != nil {
			return nil, badRequest("step %d: %v", i+1, err)
		}
		steps[i] = step
	}
	return steps, nil
}

// parseStep reads "down web1,web2" or "after 60s".
func parseStep(text string) (Step, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	step := Step{Verb: Verb(verb)}
	switch step.Verb {
	case After:
		return parseAfter(strings.TrimSpace(rest))
	case Down, Up, Drain, Undrain:
	default:
		return step, fmt.Errorf("%q is no step: want down, up, drain or undrain with servers, or after with a time", cut(text))
	}
	for _, name := range strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if server := topology.ServerName(name); !slices.Contains(step.Servers, server) {
			step.Servers = append(step.Servers, server)
		}
	}
	if len(step.Servers) == 0 {
		return step, fmt.Errorf("%s what? name a server, or several as in %s web1,web2", verb, verb)
	}
	return step, nil
}

func parseAfter(text string) (Step, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxAfter {
		return Step{}, fmt.Errorf("after %q: want a time such as 60s or 2h, up to %s", cut(text), maxAfter)
	}
	return Step{Verb: After, For: d}, nil
}

// known finds fault with a server that the site does not have.
func known(site *topology.Site, step Step) error {
	for _, name := range step.Servers {
		if _, ok := site.Server(name); ok {
			continue
		}
		var names []string
		for _, server := range site.Servers {
			names = append(names, string(server.Name))
		}
		text := fmt.Sprintf("no server %q in %s", cut(string(name)), site.File)
		if near := topology.Nearest(string(name), names); len(near) > 0 {
			text += ": did you mean " + strings.Join(near, " or ") + "?"
		}
		return errors.New(text)
	}
	return nil
}

func badRequest(format string, args ...any) *api.Error {
	return &api.Error{Code: api.BadRequest, Message: fmt.Sprintf(format, args...)}
}

// cut is a word of somebody else's, no longer than a message has room for.
func cut(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
