package cisco

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/routesteer/routesteer/topology"
)

const (
	lockTries = 5 // to get a configuration that somebody else holds; waits double from lockWait
	lockWait  = time.Second
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

// limit bounds one command, whatever the router chatters meanwhile.
func limit(ctx context.Context, timeout time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the router did not give %s within %s (timeout)", what, timeout))
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
		if err == nil && !inConfig(s.mode) {
			err = s.sync(ctx) // a line of the log may have brought the former prompt out again
		}
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
	if err == nil && inConfig(s.mode) {
		err = s.sync(ctx) // as in configure
	}
	if err != nil {
		return err
	}
	if inConfig(s.mode) {
		return s.lost(fmt.Errorf("end does not leave configuration mode: %q", quote(strings.TrimSpace(r.text))), "")
	}
	return nil
}
