package iostest

import (
	"strings"
	"time"
)

// write appends text to what is sent next.
func (s *session) write(text string) {
	s.out = append(s.out, strings.ReplaceAll(text, "\n", "\r\n")...)
}

// flush sends what was written, in pieces if so asked. That it cannot be
// sent is seen by the next read.
func (s *session) flush() {
	data := s.out
	s.out = nil
	if s.ch == nil || len(data) == 0 {
		return
	}
	f := s.r.now()
	if f.Noise {
		data = s.noisy(data)
	}
	size := f.Chunk
	if size == 0 && f.Trickle > 0 {
		size = 1
	}
	for size > 0 && len(data) > size {
		s.ch.Write(data[:size])
		data = data[size:]
		if f.Trickle > 0 && s.pause(f.Trickle) != nil {
			return
		}
	}
	s.ch.Write(data)
}

// noisy strews NULs and escape sequences between characters.
func (s *session) noisy(data []byte) []byte {
	var noisy []byte
	for _, b := range data {
		s.sent++
		switch {
		case s.sent%37 == 0:
			noisy = append(noisy, "\x1b[K"...)
		case s.sent%23 == 0:
			noisy = append(noisy, "\x1b[0;1m"...)
		case s.sent%11 == 0:
			noisy = append(noisy, 0)
		}
		noisy = append(noisy, b)
	}
	return noisy
}

// readByte takes a byte from the client. An interruption is called for each
// log line meanwhile; nil holds them back.
func (s *session) readByte(interruption func(string)) (byte, error) {
	for len(s.pending) == 0 {
		s.flush()
		if err := s.receive(interruption); err != nil {
			return 0, err
		}
	}
	b := s.pending[0]
	s.pending = s.pending[1:]
	return b, nil
}

// receive waits for the client, a log line, or the end of patience.
func (s *session) receive(interruption func(string)) error {
	f := s.r.now()
	var idle <-chan time.Time
	if f.ExecTimeout > 0 {
		timer := time.NewTimer(f.ExecTimeout)
		defer timer.Stop()
		idle = timer.C
	}
	var logs chan string
	if interruption != nil {
		logs = s.syslog
	}
	select {
	case chunk, ok := <-s.in:
		if !ok {
			return errGone
		}
		s.pending = chunk
	case text := <-logs:
		if s.logs(f) {
			interruption(text)
		}
	case <-idle:
		return errGone
	case <-s.gone:
		return errGone
	}
	return nil
}

// readLine reads and echoes a line behind a prompt.
func (s *session) readLine(prompt string, echo bool) (string, error) {
	e := &editor{s: s, prompt: prompt, echo: echo}
	for {
		b, err := s.readByte(e.interrupted)
		if err != nil {
			return "", err
		}
		if b == '\n' && s.afterCR {
			s.afterCR = false
			continue
		}
		s.afterCR = b == '\r'
		if line, done := e.key(b); done {
			return line, nil
		}
	}
}

// An editor is the line being typed.
type editor struct {
	s      *session
	prompt string
	echo   bool
	line   []byte
	left   int // characters scrolled out on the left
}

func (e *editor) interrupted(text string) { e.s.interrupt(text, string(e.line)) }

// key takes a key, and tells whether the line is done.
func (e *editor) key(b byte) (string, bool) {
	switch b {
	case '\r', '\n':
		e.enter()
		return string(e.line), true
	case 0x1a: // ^Z
		e.show("^Z\n")
		return "end", true
	case 0x03: // ^C
		e.show("^C\n")
		return "", true
	case 0x15: // ^U
		for len(e.line) > 0 {
			e.rub()
		}
	case 0x08, 0x7f:
		e.rub()
	case '?':
		e.help()
	case '\t':
		e.show("\a")
	default:
		e.insert(b)
	}
	return "", false
}

func (e *editor) show(text string) {
	if e.echo {
		e.s.write(text)
	}
}

// insert takes a character; others than printable ones are ignored.
func (e *editor) insert(b byte) {
	if b < ' ' {
		return
	}
	e.line = append(e.line, b)
	e.show(string(b))
	if e.column() >= e.s.width && e.s.width > 0 {
		e.scroll()
	}
}

func (e *editor) rub() {
	if len(e.line) == 0 {
		return
	}
	e.line = e.line[:len(e.line)-1]
	e.show("\b \b")
}

// column is where the cursor is.
func (e *editor) column() int {
	col := len(e.prompt) + len(e.line) - e.left
	if e.left > 0 {
		col++ // the $
	}
	return col
}

// scroll shows the end of a line that is too long: back to the prompt, a
// dollar, and what is left.
func (e *editor) scroll() {
	shown := e.column() - len(e.prompt)
	e.left = max(len(e.line)-shown/2, 0)
	tail := "$" + string(e.line[e.left:])
	blank := max(shown-len(tail), 0)
	e.show(strings.Repeat("\b", shown) + tail + strings.Repeat(" ", blank) + strings.Repeat("\b", blank))
}

// enter ends the line; one that was scrolled is shown from its beginning.
func (e *editor) enter() {
	if e.left > 0 {
		shown := e.column() - len(e.prompt)
		e.show(strings.Repeat("\b", shown) + string(e.line[:max(shown-1, 0)]) + "$")
	}
	e.s.write("\n")
}

// help answers a question mark, which is never part of a line.
func (e *editor) help() {
	e.show("?\n% Unrecognized command\n" + e.prompt + string(e.line))
}

// emit writes an answer: by pages, and perhaps with a log line in its middle.
func (s *session) emit(text string) {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	f := s.r.now()
	middle := -1
	if f.LogInAnswer && s.logs(f) && !s.over {
		middle = len(lines) / 2
	}
	room := s.pager - 1
	for i, line := range lines {
		if i == middle {
			s.amid()
		}
		if s.pager > 0 && room == 0 {
			if room = s.more(); room == 0 {
				return
			}
		}
		s.write(line)
		room--
	}
	if len(lines) == 0 && middle == 0 {
		s.amid()
	}
}

// amid is a log line in the middle of an answer, with the prompt once more.
func (s *session) amid() {
	s.write(stamped("%LINK-3-UPDOWN: Interface GigabitEthernet0/9, changed state to down"))
	if !s.r.now().NoReprint {
		s.write(s.promptText())
		s.flush()
		s.write("\n")
	}
}

const moreText = " --More-- "

// more asks whether to go on, and returns how many lines may follow.
func (s *session) more() int {
	s.write(moreText)
	b, err := s.readByte(nil)
	if err != nil {
		return 0
	}
	wipe := strings.Repeat("\b", len(moreText)-1)
	s.write(wipe + strings.Repeat(" ", len(moreText)-1) + wipe)
	switch b {
	case ' ':
		return s.pager - 1
	case '\r', '\n':
		s.afterCR = b == '\r'
		return 1
	default:
		return 0
	}
}
