package cisco

import (
	"context"
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

	leaveBroken = 500 * time.Millisecond // to leave one that does not answer
)

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
	if s.broken { // it may be dead: that has taken long enough
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, leaveBroken)
		defer cancel()
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
