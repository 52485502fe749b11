package iostest

import (
	"errors"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// errGone is that the connection has ended.
var errGone = errors.New("the connection is gone")

// A Line is what somebody typed, but for answers to password prompts.
type Line struct {
	Session int    // from 1
	Mode    string // ">", "#", "(config)#", …
	Text    string
}

// A session is a shell. Its fields belong to the goroutine that runs it.
type session struct {
	r    *Router
	id   int
	conn net.Conn
	ch   ssh.Channel // nil: Set, the operator at the console
	gone chan struct{}

	in      chan []byte
	syslog  chan string
	pending []byte // read, not yet taken
	afterCR bool
	out     []byte // written, not yet sent
	sent    int    // characters, for Noise

	width   int
	pager   int
	monitor bool

	privileged bool
	stack      []level
	typed      int // lines
	answer     strings.Builder
	configured bool // end was typed: a log line is due
	over       bool

	candidate []op
	base      int    // commits there were when the candidate was begun
	failed    string // what show configuration failed prints
}

// A level is a mode of configuration.
type level struct {
	kind string // "config", "vrf", "static" or "afi"
	vrf  string
	v6   bool
}

func newSession(r *Router, conn net.Conn, ch ssh.Channel, gone chan struct{}) *session {
	s := &session{
		r: r, conn: conn, ch: ch, gone: gone,
		in: make(chan []byte), syslog: make(chan string, 16),
		width: 511, pager: r.opts.Pager, monitor: true, privileged: !r.opts.UserMode,
	}
	if r.opts.Narrow {
		s.width = 80
	}
	return s
}

// requests answers channel requests; it returns when all of the session has
// ended.
func (s *session) requests(requests <-chan *ssh.Request) {
	started := false
	done := make(chan struct{})
	for request := range requests {
		switch {
		case request.Type == "pty-req", request.Type == "env", request.Type == "window-change":
			request.Reply(true, nil)
		case (request.Type == "shell" || request.Type == "exec") && !started:
			started = true
			admitted := s.r.open(s)
			request.Reply(true, nil)
			go s.start(execLine(request), admitted, done)
		case s.r.now().StrictSSH:
			s.conn.Close()
		default:
			request.Reply(false, nil)
		}
	}
	s.conn.Close()
	if started {
		<-done
	}
}

// execLine is the command of an exec request.
func execLine(request *ssh.Request) string {
	var payload struct{ Command string }
	if request.Type != "exec" || ssh.Unmarshal(request.Payload, &payload) != nil {
		return ""
	}
	return payload.Command
}

// start runs the shell, or one line, and closes the connection.
func (s *session) start(line string, admitted bool, done chan struct{}) {
	defer close(done)
	reading := make(chan struct{})
	go s.read(reading)
	defer func() { s.ch.Close(); s.conn.Close(); <-reading }()
	if !admitted {
		s.write("\nCLI session limit reached\n")
		s.flush()
		return
	}
	defer s.r.shut(s)
	if line != "" {
		s.handle(line)
		s.flush()
		return
	}
	s.run()
}

// open enters a session in the list, unless there are too many.
func (r *Router) open(s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if limit := r.faults.SessionLimit; limit > 0 && len(r.sessions) >= limit {
		return false
	}
	r.total++
	s.id = r.total
	r.sessions[s] = true
	return true
}

func (r *Router) shut(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s)
}

// read hands on what the client sends.
func (s *session) read(done chan struct{}) {
	defer close(done)
	defer close(s.in)
	for {
		chunk := make([]byte, 4096)
		n, err := s.ch.Read(chunk)
		if err != nil {
			return
		}
		select {
		case s.in <- chunk[:n]:
		case <-s.gone:
			return
		}
	}
}

// run is the dialogue.
func (s *session) run() {
	if s.r.opts.MOTD != "" {
		s.write(s.r.opts.MOTD)
	}
	s.write("\n")
	for !s.over {
		if s.prompt() != nil {
			return
		}
		line, err := s.readLine(s.promptText(), !s.r.opts.NoEcho)
		if err != nil {
			return
		}
		s.handle(line)
	}
	s.flush()
}

// prompt writes the prompt, and the log lines that go with it.
func (s *session) prompt() error {
	f := s.r.now()
	if err := s.sleep(f.PromptDelay); err != nil {
		return err
	}
	if f.LogAtPrompt && s.logs(f) {
		s.write(stamped("%LINEPROTO-5-UPDOWN: Line protocol on Interface GigabitEthernet0/7, changed state to up"))
	}
	s.write(s.promptText())
	if s.configured && f.LogConfig && s.logs(f) {
		s.interrupt("%SYS-5-CONFIG_I: Configured from console by "+s.r.opts.User+" on vty0 (10.0.0.5)", "")
	}
	s.configured = false
	return nil
}

// logs tells whether the session gets log lines.
func (s *session) logs(f Faults) bool { return s.monitor || f.LogAlways }

// stamped is a log line.
func stamped(text string) string {
	return "*" + time.Now().UTC().Format("Jan _2 15:04:05.000") + ": " + text + "\n"
}

// interrupt writes a log line over a prompt, behind which typed stands.
func (s *session) interrupt(text, typed string) {
	s.write("\n" + stamped(text))
	if !s.r.now().NoReprint {
		s.write(s.promptText() + typed)
	}
}

// Syslog writes a log line to every session that waits at its prompt and
// has not switched them off.
func (r *Router) Syslog(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.sessions {
		select {
		case s.syslog <- text:
		default: // a terminal that is not read loses lines
		}
	}
}

// handle executes a line and writes its answer.
func (s *session) handle(line string) {
	s.typed++
	s.r.note(s, line)
	cut, yes := s.r.takeCut(s.typed)
	if yes && cut == BeforeRunning {
		s.drop()
		return
	}
	s.answer.Reset()
	s.execute(line)
	if s.r.now().Hang == s.typed {
		s.flush()
		<-s.gone
		return
	}
	switch {
	case yes && cut == AmidAnswer:
		text := s.answer.String()
		s.write(text[:len(text)/2])
		s.drop()
	case yes:
		s.drop()
	default:
		s.emit(s.answer.String())
	}
}

// drop ends the connection as a failure would.
func (s *session) drop() {
	s.flush()
	s.over = true
	s.conn.Close()
}

// takeCut tells whether the connection is cut at the nth line of a session.
func (r *Router) takeCut(n int) (CutWhen, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cut := r.faults.Cut
	if cut.Line != n {
		return 0, false
	}
	if !cut.Again {
		r.faults.Cut = Cut{}
	}
	return cut.When, true
}

// note logs a line.
func (r *Router) note(s *session, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, Line{s.id, s.mode(), line})
}

// Log returns every line that was typed at a prompt.
func (r *Router) Log() []Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Line(nil), r.log...)
}

// Leaked tells whether a secret was typed where it is echoed and logged: at
// anything but a password prompt.
func (r *Router) Leaked(secret string) bool {
	for _, line := range r.Log() {
		if secret != "" && strings.Contains(line.Text, secret) {
			return true
		}
	}
	return false
}

// sleep writes what there is and waits.
func (s *session) sleep(d time.Duration) error {
	if d == 0 || s.ch == nil {
		return nil
	}
	s.flush()
	return s.pause(d)
}

// pause waits, unless the connection ends before.
func (s *session) pause(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.gone:
		return errGone
	}
}
