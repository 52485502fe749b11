package iostest

import (
	"fmt"
	"slices"
	"strings"
)

// An op is a change of the configuration.
type op struct {
	no    bool
	route *route
}

// begin starts an empty candidate.
func (s *session) begin() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.candidate, s.base = nil, s.r.version
}

// candidateCommands are those of a configuration that is committed.
func candidateCommands() []command {
	return []command{
		{"commit", commit}, {"commit confirmed …", nil},
		{"abort", abort}, {"clear", forget},
		{"show configuration", showCandidate}, {"show configuration failed", showFailed},
		{"show running-config …", showRunning}, {"show commit …", nil},
	}
}

// enter goes into a mode, of the VRF of the one before.
func enter(kind string, v6 bool) func(*session, input) error {
	return func(s *session, in input) error {
		if err := in.nothing(); err != nil {
			return err
		}
		s.stack = append(s.stack, level{kind, s.stack[len(s.stack)-1].vrf, v6})
		return nil
	}
}

// enterVRF goes into the block of a VRF; make says that it may be new.
func enterVRF(make bool) func(*session, input) error {
	return func(s *session, in input) error {
		if len(in.rest) != 1 {
			return &syntaxError{kind: incomplete}
		}
		name := in.rest[0].text
		if !s.r.hasVRF(name) && make {
			s.r.addVRF(name)
		}
		s.stack = append(s.stack, level{kind: "vrf", vrf: name})
		return nil
	}
}

func (r *Router) addVRF(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.vrfs = append(r.vrfs, name)
}

// bareRoute is a route in a block of routes, without "ip route".
func (s *session) bareRoute(line string) error {
	at := s.stack[len(s.stack)-1]
	words := split(line)
	no := words[0].text == "no"
	if no {
		words = words[1:]
	}
	return s.change(words, at.vrf, at.v6, no)
}

const commitFailed = `% Failed to commit one or more configuration items during a pseudo-atomic operation. All changes made have been reverted. Please issue 'show configuration failed [inheritance]' from this session to view the errors
`

const commitConflict = `One or more commits have occurred from other
configuration sessions since this session started
or since the last commit was made from this session.
You can use the 'show configuration commit changes' command to browse the changes.
Do you wish to proceed with this commit anyway? [no]: `

// commit makes the candidate true, whole or not at all.
func commit(s *session, in input) error {
	if err := in.nothing(); err != nil {
		return err
	}
	if len(s.candidate) == 0 {
		s.say("% No configuration changes to commit.\n")
		return nil
	}
	if s.r.moved(s.base) && !s.asks(commitConflict, "no", "yes") {
		return nil
	}
	s.failed = s.r.commit(s.candidate, s.ch != nil)
	if s.failed != "" {
		s.say("\n" + commitFailed)
		return nil
	}
	s.begin()
	return nil
}

// asks puts a question until it is answered by yes or something else that
// is allowed, and tells whether it was yes.
func (s *session) asks(question, preset, yes string) bool {
	s.write(question)
	text, err := s.readLine(question, !s.r.opts.NoEcho)
	if err != nil {
		return false
	}
	if text == "" {
		text = preset
	}
	return strings.HasPrefix(yes, strings.ToLower(text))
}

// moved tells whether somebody else committed.
func (r *Router) moved(base int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.version != base
}

// commit applies changes together, and returns why it could not. The console
// is spared the fault.
func (r *Router) commit(ops []op, faulty bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if faulty && r.faults.CommitError != "" {
		return r.faults.CommitError
	}
	for _, o := range ops {
		if !o.no && r.isOwn(o.route.hop) {
			return r.d.own
		}
	}
	for _, o := range ops {
		if o.no {
			r.remove(o.route)
			continue
		}
		r.add(o.route)
	}
	r.version++
	r.settle()
	return ""
}

const uncommitted = "Uncommitted changes found, commit them before exiting(yes/no/cancel)? [cancel]: "

// settleCandidate asks what becomes of changes when configuration mode is
// left, and tells whether it is.
func (s *session) settleCandidate() bool {
	if len(s.candidate) == 0 {
		return true
	}
	s.write(uncommitted)
	text, err := s.readLine(uncommitted, !s.r.opts.NoEcho)
	switch {
	case err != nil || text == "":
		return false
	case strings.HasPrefix("yes", text):
		commit(s, input{}) // has no words that could be wrong
		return len(s.candidate) == 0
	case strings.HasPrefix("no", text):
		s.candidate = nil
		return true
	}
	return false
}

// abort leaves configuration mode without the changes.
func abort(s *session, in input) error {
	s.candidate, s.stack = nil, nil
	return in.nothing()
}

// forget empties the candidate.
func forget(s *session, in input) error {
	s.begin()
	return in.nothing()
}

// showCandidate prints the changes.
func showCandidate(s *session, in input) error {
	s.date()
	s.say("Building configuration...\n!! IOS XR Configuration\n" + s.changes() + "end\n\n")
	return in.nothing()
}

// showFailed prints the changes, and why the last commit failed.
func showFailed(s *session, in input) error {
	s.date()
	if s.failed == "" {
		return in.nothing()
	}
	s.say("!! SEMANTIC ERRORS: This configuration was rejected by \n!! the system due to semantic errors. The individual \n" +
		"!! errors with each failed configuration command can be \n!! found below.\n\n\n" +
		s.changes() + fmt.Sprintf("!!%% %s\nend\n\n", strings.TrimLeft(s.failed, "% ")))
	return in.nothing()
}

// changes prints the candidate under the headings it was typed under.
func (s *session) changes() string {
	var lines []string
	for _, o := range s.candidate {
		line := "  " + xrLine(s.r, o.route)
		if o.no {
			line = "  no " + xrLine(s.r, o.route)
		}
		lines = append(lines, xrHeading(o.route)+"\n"+line+"\n !\n!\n")
	}
	return strings.Join(slices.Compact(lines), "")
}
