package whatif

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
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
	Servers []topology.ServerName // all at once
	VIPs    []netip.Prefix        // the first of their entries
	For     time.Duration         // of After
}

// A Verb is the kind of a Step.
type Verb string

// What can happen.
const (
	Down     Verb = "down"     // SERVERS: their checks fail, for all VIPs
	Up       Verb = "up"       // SERVERS: they pass
	Drain    Verb = "drain"    // SERVERS, or SERVERS of VIPS: an operator takes them out of service, as by --force
	Undrain  Verb = "undrain"  // the same: and back in
	Pin      Verb = "pin"      // VIP SERVER: an operator wants the VIP there
	Unpin    Verb = "unpin"    // VIP
	Failback Verb = "failback" // VIPS and SERVERS, or nothing for all: traffic returns at once
	Resume   Verb = "resume"   // failures that came together may move traffic
	After    Verb = "after"    // TIME passes, and failbacks become due
)

// needs is what is wanted after a verb; "" for what is no verb.
func (v Verb) needs() string {
	switch v {
	case Down, Up:
		return fmt.Sprintf("servers, as in %s web1,web2", v)
	case Drain, Undrain:
		return fmt.Sprintf("servers, as in %s web1,web2 or %s web1 of shop", v, v)
	case Pin:
		return "a VIP and a server, as in pin shop web1"
	case Unpin:
		return "a VIP, as in unpin shop"
	case Failback:
		return "VIPs or servers, or nothing for all"
	case Resume:
		return "nothing more"
	case After:
		return "a time such as 60s or 2h, up to " + maxAfter.String()
	default:
		return ""
	}
}

// String is the Step as a script has it.
func (s Step) String() string {
	words := []string{string(s.Verb)}
	servers, vips := join(s.Servers), join(s.VIPs)
	switch {
	case s.Verb == After:
		words = append(words, s.For.String())
	case s.Verb == Pin:
		words = append(words, vips, servers)
	case s.Verb == Failback && servers != "" && vips != "":
		words = append(words, vips+","+servers)
	case servers != "" && vips != "":
		words = append(words, servers, "of", vips)
	case servers+vips != "":
		words = append(words, servers+vips)
	}
	return strings.Join(words, " ")
}

func join[T any](values []T) string {
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = fmt.Sprint(value)
	}
	return strings.Join(words, ",")
}

// ParseScript reads one step a line. What follows a # is a comment. An error
// says which line is wrong, and what would be right. Names are not looked up.
func ParseScript(script string) ([]string, error) {
	var steps []string
	number := 0
	for line := range strings.Lines(script) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if _, err := parseDraft(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		steps = append(steps, line)
	}
	return steps, nil
}

// Parse reads steps about a site. Errors are *api.Error.
func Parse(site *topology.Site, texts []string) ([]Step, error) {
	if len(texts) > maxSteps {
		return nil, badRequest("%d steps are more than %d", len(texts), maxSteps)
	}
	steps := make([]Step, len(texts))
	for i, text := range texts {
		d, err := parseDraft(text)
		if err == nil {
			steps[i], err = d.resolve(site)
		}
		if err != nil {
			return nil, badRequest("step %d: %v", i+1, err)
		}
	}
	return steps, nil
}

// A draft is a step whose names nobody has looked up.
type draft struct {
	verb  Verb
	names []string // before "of", each once
	of    []string // after it
	span  time.Duration

	limited bool // there was an "of"
}

// parseDraft reads "down web1,web2", "drain web1 of shop" or "after 60s".
func parseDraft(text string) (draft, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	d := draft{verb: Verb(verb)}
	if d.verb.needs() == "" {
		return d, fmt.Errorf("%q is no step: want down, up, drain, undrain, pin, unpin, failback, resume or after", cut(verb))
	}
	rest = strings.TrimSpace(rest)
	if d.verb == After {
		d.span, _ = time.ParseDuration(rest) // what is none is 0, and does not fit
	} else {
		names, of, limited := strings.Cut(" "+rest+" ", " of ")
		d.names, d.of, d.limited = list(names), list(of), limited
	}
	if !d.fits() {
		return d, fmt.Errorf("%s %q: want %s", verb, cut(rest), d.verb.needs())
	}
	return d, nil
}

// fits reports whether the draft has what its verb needs, and nothing else.
func (d draft) fits() bool {
	if d.limited && (d.verb != Drain && d.verb != Undrain || len(d.of) == 0) {
		return false
	}
	switch d.verb {
	case Down, Up, Drain, Undrain:
		return len(d.names) > 0
	case Pin:
		return len(d.names) == 2
	case Unpin:
		return len(d.names) == 1
	case Failback:
		return true
	case Resume:
		return len(d.names) == 0
	case After:
		return d.span > 0 && d.span <= maxAfter
	default:
		panic("whatif: no such step: " + string(d.verb))
	}
}

// list reads names with commas or spaces between them, each once.
func list(text string) []string {
	var names []string
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// resolve looks the names up.
func (d draft) resolve(site *topology.Site) (Step, error) {
	step := Step{Verb: d.verb, For: d.span}
	servers, vips, either := d.names, d.of, []string{}
	switch d.verb {
	case Pin:
		servers, vips = d.names[1:], d.names[:1]
	case Unpin:
		servers, vips = nil, d.names
	case Failback:
		servers, either = nil, d.names
	}
	for _, name := range servers {
		if err := step.addServer(site, name); err != nil {
			return step, err
		}
	}
	for _, word := range vips {
		if err := step.addVIP(site, word); err != nil {
			return step, err
		}
	}
	for _, word := range either {
		if step.addServer(site, word) == nil {
			continue
		}
		if err := step.addVIP(site, word); err != nil {
			return step, err
		}
	}
	return step, step.serves(site)
}

func (s *Step) addServer(site *topology.Site, name string) error {
	if _, known := site.Server(topology.ServerName(name)); !known {
		var names []string
		for _, server := range site.Servers {
			names = append(names, string(server.Name))
		}
		return unknown("server", name, site, names)
	}
	s.Servers = append(s.Servers, topology.ServerName(name))
	return nil
}

func (s *Step) addVIP(site *topology.Site, word string) error {
	vip, known := site.FindVIP(word)
	if !known {
		var names []string
		for _, vip := range site.VIPs {
			names = append(names, vip.Prefix.String(), vip.Name)
		}
		return unknown("VIP", word, site, names)
	}
	if !slices.Contains(s.VIPs, vip.Prefix) {
		s.VIPs = append(s.VIPs, vip.Prefix)
	}
	return nil
}

// serves finds fault with servers that are none of the VIPs that the step names
// with them.
func (s *Step) serves(site *topology.Site) error {
	if s.Verb == Failback {
		return nil
	}
	for _, prefix := range s.VIPs {
		vip, _ := site.VIP(prefix)
		for _, name := range s.Servers {
			if !slices.Contains(vip.Servers(), name) {
				return fmt.Errorf("%s is not a server of %s: its servers are %s", name, prefix, join(vip.Servers()))
			}
		}
	}
	return nil
}

func unknown(kind, word string, site *topology.Site, names []string) error {
	text := fmt.Sprintf("no %s %q in %s", kind, cut(word), site.File)
	if near := topology.Nearest(word, names); len(near) > 0 {
		text += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
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
