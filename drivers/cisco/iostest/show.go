package iostest

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// date is the line that XR writes before the output of show.
func (s *session) date() {
	switch {
	case s.r.d.dated && !s.r.opts.NoDate:
		s.say(time.Now().UTC().Format("Mon Jan _2 15:04:05.000 MST") + "\n")
	case s.r.opts.Stamps:
		s.say("Load for five secs: 1%/0%; one minute: 2%; five minutes: 1%\nTime source is NTP, " +
			time.Now().UTC().Format("15:04:05.000 MST Mon Jan 2 2006") + "\n\n")
	}
}

// showRunning prints the configuration, or the part that filters leave.
func showRunning(s *session, in input) error {
	text, filters, piped := strings.Cut(in.text(), "|")
	part := strings.TrimSpace(text)
	lines, err := s.running(part, in)
	if err != nil {
		return err
	}
	if piped {
		if lines, err = s.filter(lines, filters, in); err != nil {
			return err
		}
	}
	s.date()
	if !piped && part == "" {
		s.say(s.r.d.preamble)
	}
	s.sayLines(lines)
	return nil
}

// running returns the whole configuration, or on XR the static routes.
func (s *session) running(part string, in input) ([]string, error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	routes := s.r.d.print(s.r)
	switch {
	case part == "":
		return s.r.whole(routes), nil
	case part == "router static" && s.r.d.candidates:
		if len(routes) == 0 {
			return []string{"% No such configuration item(s)", ""}, nil
		}
		return append(routes, ""), nil
	default:
		return nil, &syntaxError{kind: invalid, at: in.rest[0].at}
	}
}

// whole puts other configuration around the routes.
func (r *Router) whole(routes []string) []string {
	lines := []string{"!", "hostname " + r.opts.Hostname, "!"}
	for i := range r.opts.Padding {
		lines = append(lines, fmt.Sprintf("interface Loopback%d", 100+i), " description not for ip route", "!")
	}
	lines = append(lines, "interface GigabitEthernet0/1", " description uplink", "!")
	lines = append(lines, routes...)
	return append(lines, "!", "line vty 0 4", " transport input ssh", "!", "end", "")
}

// filter applies "include …", and on NX-OS further ones behind more bars.
func (s *session) filter(lines []string, text string, in input) ([]string, error) {
	stages := []string{text}
	if s.r.d.quotes {
		stages = outsideQuotes(text)
	}
	for _, stage := range stages {
		var err error
		if lines, err = s.stage(lines, strings.TrimLeft(stage, " "), in); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// outsideQuotes cuts at the bars that are not quoted.
func outsideQuotes(text string) []string {
	stages := []string{""}
	quote := rune(0)
	for _, c := range text {
		switch {
		case quote == 0 && c == '|':
			stages = append(stages, "")
			continue
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
		}
		stages[len(stages)-1] += string(c)
	}
	return stages
}

func (s *session) stage(lines []string, text string, in input) ([]string, error) {
	bad := &syntaxError{kind: invalid, at: in.start}
	word, pattern, _ := strings.Cut(text, " ")
	if pattern == "" {
		return nil, &syntaxError{kind: incomplete}
	}
	if s.r.d.quotes {
		var ok bool
		if pattern, ok = unquote(strings.TrimSpace(pattern)); !ok {
			return nil, bad
		}
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, bad
	}
	found := matches(word, []string{"include", "exclude", "begin", "section"})
	if len(found) != 1 {
		return nil, bad
	}
	return sift(lines, found[0], re), nil
}

// unquote takes the quotes from a word. Without them it must be one word.
func unquote(text string) (string, bool) {
	if c := text[0]; c == '\'' || c == '"' {
		inner, ok := strings.CutSuffix(text[1:], string(c))
		return inner, ok
	}
	return text, !strings.Contains(text, " ")
}

// sift is the filter itself. A section is a line that is not indented and
// those that are behind it.
func sift(lines []string, how string, re *regexp.Regexp) []string {
	var kept []string
	on := false
	for _, line := range lines {
		match := re.MatchString(line)
		switch how {
		case "include":
			on = match
		case "exclude":
			on = !match
		case "begin":
			on = on || match
		case "section":
			if !strings.HasPrefix(line, " ") {
				on = match
			}
			on = on || match
		}
		if on {
			kept = append(kept, line)
		}
	}
	return kept
}
