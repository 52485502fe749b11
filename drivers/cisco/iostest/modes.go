package iostest

import (
	"fmt"
	"slices"
	"strings"
)

// mode is how the prompt ends, without space.
func (s *session) mode() string {
	if len(s.stack) == 0 && !s.privileged {
		return ">"
	}
	if len(s.stack) == 0 {
		return "#"
	}
	return "(" + s.kinds() + ")#"
}

// kinds names the mode of configuration: config, config-static-vrf-afi, …
func (s *session) kinds() string {
	name := "config"
	for _, c := range s.stack[1:] {
		name += "-" + c.kind
	}
	return name
}

// promptText is the prompt: in configuration mode cut to the limit.
func (s *session) promptText() string {
	o := &s.r.opts
	host, mode := o.Hostname, s.mode()
	if o.Prompt != "" && (len(s.stack) == 0 || o.PromptInConfig) {
		host = o.Prompt
	}
	host = s.r.d.promptPrefix + host
	if keep := o.PromptLimit - len(mode); len(s.stack) > 0 && o.PromptLimit > 0 && len(host) > keep {
		host = host[:max(keep, 1)]
	}
	if s.r.d.promptSpace != o.OtherSpace {
		mode += " "
	}
	return host + mode
}

// execute runs a line in the mode of the session.
func (s *session) execute(line string) {
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '!' {
		return
	}
	if s.denied(trimmed) {
		s.say(s.r.d.unauthorized)
		return
	}
	prompt := len(s.promptText())
	if err := s.dispatch(line); err != nil {
		s.explain(err, line, prompt)
	}
}

// denied tells whether a line is not authorized.
func (s *session) denied(line string) bool {
	f := s.r.now()
	return s.ch != nil && (f.DenyNth == s.typed || f.Deny != nil && f.Deny.MatchString(line))
}

// say appends to the answer.
func (s *session) say(text string) { s.answer.WriteString(text) }

func (s *session) sayLines(lines []string) {
	for _, line := range lines {
		s.say(line + "\n")
	}
}

// dispatch finds the command of a line: in exec mode, behind do, among those
// of all modes of configuration, or in the innermost mode that knows it,
// which it returns to.
func (s *session) dispatch(line string) error {
	if len(s.stack) == 0 {
		return s.try(s.execCommands(), line)
	}
	if words := split(line); s.r.d.do && words[0].text == "do" {
		at := words[0].at + len("do")
		return s.try(s.r.d.exec, strings.Repeat(" ", at)+line[at:])
	}
	if err := s.try(s.r.d.anywhere, line); err == nil || !stumbled(err, line) {
		return err
	}
	for depth := len(s.stack); ; depth-- {
		err := s.inContext(depth, line)
		if err == nil || depth == 1 || !stumbled(err, line) {
			return err
		}
	}
}

// execCommands are those of exec mode at the level of the session.
func (s *session) execCommands() []command {
	if s.privileged {
		return s.r.d.exec
	}
	return s.r.d.user
}

// stumbled tells whether a line failed at its first word, or at that behind
// no: another mode may know it.
func stumbled(err error, line string) bool {
	e, ok := err.(*syntaxError)
	words := split(line)
	first := words[0]
	if first.text == "no" && len(words) > 1 {
		first = words[1]
	}
	return ok && e.kind == invalid && e.at <= first.at+len(first.text)
}

// inContext tries a line in the mode at a depth.
func (s *session) inContext(depth int, line string) error {
	was := s.stack
	s.stack = slices.Clone(was[:depth])
	at := s.stack[depth-1]
	err := s.try(s.r.d.config[at.kind], line)
	if at.kind == "afi" && err != nil && stumbled(err, line) {
		err = s.bareRoute(line)
	}
	if err != nil {
		s.stack = was
	}
	return err
}

// try runs a line as one of commands.
func (s *session) try(commands []command, line string) error {
	found, in, err := find(line, commands)
	if err != nil {
		return err
	}
	if found.run == nil {
		return &syntaxError{kind: invalid, at: split(line)[0].at}
	}
	return found.run(s, in)
}

// explain writes what is wrong with a line, as the dialect does.
func (s *session) explain(err error, line string, prompt int) {
	e, ok := err.(*syntaxError)
	if !ok {
		panic("iostest: " + err.Error())
	}
	d := s.r.d
	at := e.at
	if e.kind != invalid {
		at = len(line)
	}
	caret := ""
	if d.caret == always || d.caret == whereInvalid && e.kind == invalid {
		caret = strings.Repeat(" ", prompt+at) + "^\n"
	}
	switch {
	case e.kind == refused:
		s.say(e.text + "\n")
	case e.kind == invalid && d.lookup && len(s.stack) == 0 && len(split(line)) == 1:
		s.unknownHost(strings.TrimSpace(line))
	case e.kind == ambiguous:
		s.say(caret + strings.ReplaceAll(d.ambiguous, "LINE", strings.TrimSpace(line)))
	case e.kind == incomplete:
		s.say(caret + d.incomplete)
	default:
		s.say(caret + d.invalid)
	}
}

// unknownHost is what IOS makes of a single word: the name of a host.
func (s *session) unknownHost(word string) {
	if s.r.now().Translating {
		s.write(fmt.Sprintf("Translating %q...domain server (255.255.255.255)\n", word))
		s.sleep(translating) // an end is seen by the next read
	}
	s.say("% Unknown command or computer name, or unable to find computer address\n")
}
