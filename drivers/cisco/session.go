package cisco

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/internal/secret"
	"github.com/routesteer/routesteer/topology"
)

const (
	settle     = 50 * time.Millisecond // without a byte, and what looks like a prompt is one
	greetings  = 8                     // attempts to tell the prompt from what looks like it
	leaveLimit = 3 * time.Second       // to leave a router in good order
	lockTries  = 5                     // to get a configuration that somebody else holds; waits double from lockWait
	lockWait   = time.Second
)

// A session is a dialogue with a router, in exec mode between calls of all
// methods but those that are about configuration mode.
type session struct {
	cfg     topology.Cisco
	dialect *dialect
	client  *ssh.Client
	term    *terminal
	script  *transcript

	prompt string         // in exec mode, as it is
	echo   bool           // what is typed comes back
	wait   *regexp.Regexp // for whatever the router waits with
	mode   string         // the last prompt
	last   *reply         // to the last command, whose end may still come
	broken bool           // the dialogue has lost its thread: no more than goodbye can be said
}

// A reply is what a router said to a command.
type reply struct {
	command string
	text    string
	asked   string // a question of the router's, which was answered with no
}

// refusal is what the router has against the command; nil if it took it.
func (r *reply) refusal() error {
	if r.asked != "" {
		return &fault{r.command, quote(r.asked + " / " + strings.TrimSpace(r.text))}
	}
	return refused(r.command, r.text)
}

// openSession logs in, and makes the screen fit for programs.
func openSession(ctx context.Context, cfg topology.Cisco, dial dialer, script *transcript) (*session, error) {
	script.note("session with %s as %s, dialect %s", address(cfg), cfg.User, cfg.Dialect)
	client, secrets, err := connect(ctx, cfg, dial)
	for _, secret := range secrets {
		script.hide(secret)
	}
	if err != nil {
		return nil, err
	}
	s := &session{cfg: cfg, dialect: dialectOf(cfg.Dialect), client: client, script: script}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.leave())
	}
	return s, nil
}

// begin opens the shell and learns how the router speaks.
func (s *session) begin(ctx context.Context) error {
	shell, err := s.shell(ctx)
	if err != nil {
		return err
	}
	if s.term, err = s.terminal(ctx, shell); err != nil {
		return err
	}
	if err := s.learn(ctx); err != nil {
		return err
	}
	if err := s.enable(ctx); err != nil {
		return err
	}
	for _, command := range s.dialect.screen {
		// Refused where authorization is strict: then the pager is answered.
		if _, err := s.exec(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// shell opens the one channel of the session.
func (s *session) shell(ctx context.Context) (*ssh.Session, error) {
	ctx, cancel := limit(ctx, s.cfg.Timeout, "a shell")
	defer cancel()
	defer context.AfterFunc(ctx, func() { s.client.Close() })()
	shell, err := s.client.NewSession()
	if err != nil {
		return nil, fmt.Errorf("open a shell: %w", because(ctx, err))
	}
	return shell, nil
}

// terminal starts the shell.
func (s *session) terminal(ctx context.Context, shell *ssh.Session) (*terminal, error) {
	ctx, cancel := limit(ctx, s.cfg.Timeout, "a shell")
	defer cancel()
	hangUp := func() { s.client.Close() }
	defer context.AfterFunc(ctx, hangUp)()
	t, err := openTerminal(shell, hangUp)
	if err != nil {
		return nil, because(ctx, err)
	}
	return t, nil
}

// limit bounds one command, whatever the router chatters meanwhile.
func limit(ctx context.Context, timeout time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the router did not give %s within %s (timeout)", what, timeout))
}

// learn finds out the prompt. Banners may hold what looks like one, and lines of
// the log may follow it, so it is what comes back, twice, after a comment that
// only we can have typed.
func (s *session) learn(ctx context.Context) error {
	if text, err := s.until(ctx, promptLike); err != nil {
		return s.lost(err, text)
	}
	prompt := ""
	for range greetings {
		comment := nonce()
		text, err := s.ask(ctx, comment, promptLike)
		if err != nil {
			return s.lost(err, text)
		}
		_, _, echo := cutEcho(text, comment)
		again := lastPrompt(text)
		if again == prompt && echo == s.echo {
			s.script.answered(text)
			s.prompt, s.mode, s.wait = again, again, waiting(again)
			return nil
		}
		prompt, s.echo = again, echo
	}
	return s.lost(errors.New("its prompt is another one each time"), prompt)
}

// until reads until what looks like the end has stood for a moment.
func (s *session) until(ctx context.Context, ends ...*regexp.Regexp) (string, error) {
	ctx, cancel := limit(ctx, s.cfg.Timeout, "a prompt")
	defer cancel()
	text := ""
	for {
		more, err := s.term.quiet(ctx, settle)
		text += more
		if err != nil || slices.ContainsFunc(ends, func(end *regexp.Regexp) bool { return end.MatchString(text) }) {
			return text, err
		}
	}
}

// ask types a line and reads until what looks like the end.
func (s *session) ask(ctx context.Context, line string, ends ...*regexp.Regexp) (string, error) {
	s.script.typed(line)
	if err := s.term.write(ctx, line+"\n"); err != nil {
		return "", err
	}
	return s.until(ctx, ends...)
}

// nonce is a comment that no router says by itself.
func nonce() string { return "! routesteer-" + strings.ToLower(rand.Text()[:12]) }

// lost ends the dialogue: what came is not understood.
func (s *session) lost(err error, text string) error {
	s.broken = true
	s.script.answered(text)
	s.script.note("lost: %v", err)
	if tail := strings.TrimSpace(visibleTail(text)); tail != "" {
		return fmt.Errorf("%w; the last that came is %q", err, quote(s.script.redact(discreet(tail))))
	}
	return err
}

// visibleTail is the last line of text that is not blank.
func visibleTail(text string) string {
	text = strings.TrimRight(text, "\r\n ")
	return visible(text[strings.LastIndexByte(text, '\n')+1:])
}

// enable becomes privileged. The secret is sent at a password prompt alone:
// anywhere else it would be shown, and kept in logs.
func (s *session) enable(ctx context.Context) error {
	if !strings.HasSuffix(s.prompt, ">") {
		return nil
	}
	if s.cfg.Enable == (topology.Secret{}) {
		return fmt.Errorf("the user %s is not privileged at once (prompt %q), and the file has no enable secret", s.cfg.User, s.prompt)
	}
	word, err := secret.Read(s.cfg.Enable)
	if err != nil {
		return err
	}
	s.script.hide(word)
	text, err := s.ask(ctx, "enable", promptLike, passwordLike)
	if err == nil && passwordLike.MatchString(text) {
		text, err = s.ask(ctx, word, promptLike, passwordLike)
	}
	if err != nil {
		return s.lost(err, text)
	}
	s.script.answered(text)
	prompt := lastPrompt(text)
	if !strings.HasSuffix(prompt, "#") {
		s.broken = passwordLike.MatchString(text) // it asks again
		return fmt.Errorf("the router does not take the enable secret: it answers %q", quote(s.script.redact(strings.TrimSpace(text))))
	}
	s.prompt, s.mode, s.wait = prompt, prompt, waiting(prompt)
	return nil
}

// exec types a command and returns what the router says until it waits for the
// next one. An error means that the dialogue is over; that the router refused
// the command is in the reply.
func (s *session) exec(ctx context.Context, command string) (*reply, error) {
	return s.execWithin(ctx, s.cfg.Timeout, command)
}

// execWithin is exec with a time-out of its own.
func (s *session) execWithin(ctx context.Context, timeout time.Duration, command string) (*reply, error) {
	ctx, cancel := limit(ctx, timeout, fmt.Sprintf("an answer to %q", command))
	defer cancel()
	r := &reply{command: command}
	s.script.typed(command)
	if err := s.term.write(ctx, command+"\n"); err != nil {
		return nil, s.lost(err, "")
	}
	text, prompt, err := s.answer(ctx, r)
	if err != nil {
		return nil, s.lost(err, text)
	}
	s.script.answered(text)
	before, after := "", text
	if s.echo {
		before, after, _ = cutEcho(text, command)
	}
	if s.last != nil {
		s.last.text += answerText(before, prompt) // it came late
	}
	r.text = answerText(after, prompt)
	s.last, s.mode = r, strings.TrimRight(prompt, " ")
	return r, nil
}

// answer reads until the router waits for the next command, with all that it
// asks meanwhile. A prompt before the echo is one that a line of the log has
// brought out again.
func (s *session) answer(ctx context.Context, r *reply) (text, prompt string, err error) {
	for {
		more, match, err := s.term.await(ctx, s.wait)
		text += more
		if err != nil {
			return text, "", err
		}
		what, words := kind(s.wait, match)
		switch what {
		case kindPager:
			err = s.term.write(ctx, " ")
		case kindQuestion:
			err = s.refuse(ctx, r, words)
		default:
			if _, _, found := cutEcho(text, r.command); !s.echo || found {
				return s.calm(ctx, text, words)
			}
		}
		if err != nil {
			return text, "", err
		}
	}
}

// calm makes sure that a prompt is the end of an answer where no echo tells.
func (s *session) calm(ctx context.Context, text, prompt string) (string, string, error) {
	if s.echo {
		return text, prompt, nil
	}
	for {
		more, err := s.term.quiet(ctx, settle)
		text += more
		if err != nil {
			return text, prompt, err
		}
		if match := s.wait.FindStringSubmatch(text); match != nil {
			_, prompt = kind(s.wait, match)
			return text, prompt, nil
		}
	}
}

// refuse answers a question that nobody foresaw with no, but for the name of the
// file to save to.
func (s *session) refuse(ctx context.Context, r *reply, question string) error {
	if strings.Contains(question, "[startup-config]") {
		return s.term.write(ctx, "\n")
	}
	r.asked = strings.TrimSpace(question)
	s.script.note("refused: %s", r.asked)
	if strings.Contains(question, "[confirm]") {
		return s.term.write(ctx, "n") // one key, without Enter
	}
	return s.term.write(ctx, "no\n")
}

// sync makes sure that all replies are whole: what was late has come before the
// prompt that follows our comment.
func (s *session) sync(ctx context.Context) error { return s.syncWithin(ctx, s.cfg.Timeout) }

func (s *session) syncWithin(ctx context.Context, timeout time.Duration) error {
	_, err := s.execWithin(ctx, min(timeout, s.cfg.Timeout), nonce())
	s.last = nil
	return err
}

// show types a command that changes nothing and returns its whole answer. If a
// line of the router's log came into it, it is asked for once more.
func (s *session) show(ctx context.Context, command string) (string, error) {
	const tries = 3
	for try := 1; ; try++ {
		r, err := s.exec(ctx, command)
		if err != nil {
			return "", err
		}
		if err := s.sync(ctx); err != nil {
			return "", err
		}
		if !syslogLine.MatchString(r.text) || try == tries {
			return r.text, r.refusal()
		}
	}
}

// configure enters configuration mode. If somebody else holds it, that is tried
// again for a while.
func (s *session) configure(ctx context.Context) error {
	for try, wait := 1, lockWait; ; try, wait = try+1, 2*wait {
		r, err := s.exec(ctx, "configure terminal")
		if err != nil {
			return err
		}
		if inConfig(s.mode) {
			return nil
		}
		refusal := r.refusal()
		if refusal == nil {
			refusal = fmt.Errorf("configure terminal leads to the prompt %q, not to configuration mode: %q", s.mode, quote(strings.TrimSpace(r.text)))
		}
		if !errors.Is(refusal, errLocked) || try == lockTries {
			return refusal
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; %w", refusal, context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

// end leaves configuration mode.
func (s *session) end(ctx context.Context) error {
	if !inConfig(s.mode) {
		return nil
	}
	r, err := s.exec(ctx, "end")
	if err != nil {
		return err
	}
	if inConfig(s.mode) {
		return s.lost(fmt.Errorf("end does not leave configuration mode: %q", quote(strings.TrimSpace(r.text))), "")
	}
	return nil
}

// leave ends the session in good order, whatever state it is in: a line that is
// not left is one that nobody else can use, and there are few.
func (s *session) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	if s.term != nil {
		s.goodbye(ctx)
		defer s.term.close()
	}
	err := closed(s.client)
	s.script.note("left")
	if err != nil && !strings.Contains(err.Error(), "EOF") {
		return fmt.Errorf("close the connection: %w", err)
	}
	return nil
}

// goodbye says what makes the router hang up. Nothing of it can fail in a way
// that matters: the connection is closed next.
func (s *session) goodbye(ctx context.Context) {
	if inConfig(s.mode) || s.broken {
		for _, command := range append(s.pending(), "end") {
			s.script.typed(command)
			if s.term.write(ctx, command+"\n") != nil {
				return
			}
		}
	}
	s.script.typed("exit")
	if s.term.write(ctx, "exit\n") == nil {
		s.term.drain(ctx)
	}
}

// pending is what gives up changes that are not committed, in configuration
// mode.
func (s *session) pending() []string {
	if !inConfig(s.mode) {
		return nil
	}
	return s.dialect.abandon
}
