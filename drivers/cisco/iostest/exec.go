package iostest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// translating is how long a name is looked up.
const translating = 20 * time.Second

// userCommands are those below privilege.
func userCommands() []command {
	return []command{
		{"enable", enable},
		{"exit", leave}, {"quit", leave}, {"logout", leave},
		{"show privilege", showPrivilege}, {"show version", nil}, {"show users", nil},
		{"terminal length …", terminalLength}, {"terminal width …", terminalWidth},
		{"terminal monitor", monitorOn}, {"terminal no monitor", monitorOff},
	}
}

// execCommands are those of every dialect. Those that do nothing are there
// because they make abbreviations ambiguous.
func execCommands(more ...command) []command {
	return append(append(userCommands(), []command{
		{"disable", disable},
		{"configure terminal", configure}, {"configure replace …", nil},
		{"connect …", nil}, {"clear …", nil}, {"clock …", nil}, {"ping …", nil}, {"reload …", nil},
		{"show running-config …", showRunning}, {"show startup-config", showStartup},
		{"show route-map", nil}, {"show interfaces", nil}, {"show clock", nil},
	}...), more...)
}

// saving are the commands that keep the configuration.
func saving() []command {
	return []command{
		{"write memory", save}, {"write erase", nil}, {"write terminal", nil},
		{"copy running-config startup-config", copyConfig}, {"copy startup-config …", nil},
	}
}

// enable asks for the secret, three times; without one, nothing.
func enable(s *session, in input) error {
	if err := in.nothing(); err != nil {
		return err
	}
	if s.privileged || s.r.opts.Enable == "" {
		s.privileged = true
		return nil
	}
	denial := s.r.now().DenyEnable
	for range 3 {
		s.write("Password: ")
		secret, err := s.readLine("Password: ", false)
		if err != nil {
			return nil // the next read sees it
		}
		if denial != "" {
			s.say(denial + "\n\n")
			return nil
		}
		if secret == s.r.opts.Enable {
			s.privileged = true
			return nil
		}
	}
	s.say("% Bad secrets\n\n")
	return nil
}

func disable(s *session, in input) error {
	s.privileged = false
	return in.nothing()
}

func leave(s *session, in input) error {
	s.over = true
	return in.nothing()
}

func showPrivilege(s *session, in input) error {
	level := 1
	if s.privileged {
		level = 15
	}
	s.say(fmt.Sprintf("Current privilege level is %d\n", level))
	return in.nothing()
}

func terminalLength(s *session, in input) error { return setNumber(&s.pager, in, 0, 512) }

func terminalWidth(s *session, in input) error {
	return setNumber(&s.width, in, s.r.d.minWidth, s.r.d.maxWidth)
}

// setNumber sets a number within bounds.
func setNumber(to *int, in input, least, most int) error {
	if len(in.rest) == 0 {
		return &syntaxError{kind: incomplete}
	}
	if len(in.rest) > 1 {
		return &syntaxError{kind: invalid, at: in.rest[1].at}
	}
	n := 0
	if _, err := fmt.Sscanf(in.rest[0].text, "%d", &n); err != nil || n < least || n > most {
		return &syntaxError{kind: invalid, at: in.rest[0].at}
	}
	*to = n
	return nil
}

func monitorOn(s *session, in input) error {
	s.monitor = true
	return in.nothing()
}

func monitorOff(s *session, in input) error {
	s.monitor = false
	return in.nothing()
}

// configure enters configuration mode, unless somebody holds it.
func configure(s *session, in input) error {
	if err := in.nothing(); err != nil {
		return err
	}
	if s.ch != nil && s.r.takeLock() {
		s.say("Configuration mode is locked by process '484' user 'NETCONF' from terminal '64'. Please try later.\n")
		return nil
	}
	s.say(s.r.d.welcome)
	s.stack = []level{{kind: "config"}}
	s.begin()
	return nil
}

// showLock tells who holds the configuration.
func showLock(s *session, in input) error {
	s.say("Parser Configure Lock\n---------------------\n")
	if s.r.now().Locked == 0 {
		s.say("Owner PID         : -1\nUser              : unknown\nTTY               : -1\nType              : NO LOCK\nState             : FREE\n")
		return in.nothing()
	}
	s.say("Owner PID         : 484\nUser              : NETCONF\nTTY               : 64\nType              : EXCLUSIVE\nState             : LOCKED\n")
	return in.nothing()
}

func showStartup(s *session, in input) error {
	s.sayLines(s.r.Startup())
	return in.nothing()
}

// copyConfig saves under a name it asks for.
func copyConfig(s *session, in input) error {
	if err := in.nothing(); err != nil {
		return err
	}
	if s.r.d.asksName {
		s.write("Destination filename [startup-config]? ")
		name, err := s.readLine("Destination filename [startup-config]? ", !s.r.opts.NoEcho)
		if err != nil {
			return nil // the next read sees it
		}
		if name != "" && name != "startup-config" {
			s.say("%Error opening " + name + " (No such device)\n")
			return nil
		}
	}
	return save(s, in)
}

// save keeps the running configuration, perhaps after a question.
func save(s *session, in input) error {
	if err := in.nothing(); err != nil {
		return err
	}
	f := s.r.now()
	if f.Overwrite && !s.overwrite() {
		return nil
	}
	s.write(s.r.d.saving)
	if s.sleep(f.SaveDelay) != nil {
		return nil // gone before it was saved
	}
	if f.SaveError != "" {
		s.say(f.SaveError + "\n")
		return nil
	}
	s.r.keep()
	s.say(s.r.d.saved)
	return nil
}

// overwrite asks the question of a router after an upgrade. One key answers
// it; what is typed behind that is the next line.
func (s *session) overwrite() bool {
	s.write("Warning: Attempting to overwrite an NVRAM configuration previously written\n" +
		"by a different version of the system image.\nOverwrite the previous NVRAM configuration?[confirm]")
	b, err := s.readByte(nil)
	if err != nil {
		return false
	}
	s.afterCR = b == '\r'
	s.write("\n")
	return b == '\r' || b == '\n' || b == 'y' || b == 'Y'
}

func (r *Router) keep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.startup = r.d.print(r)
}

// Startup returns the route lines that were saved.
func (r *Router) Startup() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.startup)
}

// Config returns the route lines of the running configuration, with the
// lines of the blocks they stand in.
func (r *Router) Config() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.d.print(r)
}

// Set is an operator at the console: it types lines in configuration mode,
// commits them (XR), and panics if one is refused.
func (r *Router) Set(lines ...string) {
	s := newSession(r, nil, nil, nil)
	s.stack = []level{{kind: "config"}}
	s.begin()
	for _, line := range append(lines, r.d.commit...) {
		s.answer.Reset()
		s.execute(line)
		if said := s.answer.String(); strings.Contains(said, "%") {
			panic("iostest: Set: " + line + ": " + said)
		}
	}
}
