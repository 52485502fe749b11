package cisco

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"

	expect "github.com/google/goexpect"
	"golang.org/x/crypto/ssh"
)

const (
	// maxAnswer bounds the answer to one command, in bytes: the static routes of a
	// hundred thousand prefixes fit.
	maxAnswer = 16 << 20
	// lookEvery is how often goexpect looks whether the output has ended.
	lookEvery = 50 * time.Millisecond
	// nudgeAfter is when goexpect is told once more that there is data: it misses
	// the news while it looks at what came before.
	nudgeAfter = time.Millisecond
	// forever is a time-out that never comes: waits end by deadline, below. That
	// of goexpect starts anew with each byte.
	forever = 365 * 24 * time.Hour
)

// A terminal is a shell on a router, as goexpect sees it. It differs from what
// goexpect makes by itself: a wait ends when its context does, an answer has a
// largest size, escape sequences are gone, and no request is sent to ask whether
// the router lives, which some answer by hanging up.
type terminal struct {
	stdin  io.Writer
	hangUp func() // cuts the connection
	expect *expect.GExpect
	output *output
	done   chan struct{} // closed by close
	once   sync.Once
	over   <-chan error // goexpect's goroutines have ended
}

// openTerminal starts a shell. hangUp cuts the connection that it is in.
func openTerminal(shell *ssh.Session, hangUp func()) (*terminal, error) {
	// A wide terminal, since what runs over the edge is drawn again; echo, since
	// vtysh has none otherwise, and what Cisco routers do without being asked.
	modes := ssh.TerminalModes{ssh.ECHO: 1, ssh.TTY_OP_ISPEED: 115200, ssh.TTY_OP_OSPEED: 115200}
	if err := shell.RequestPty("vt100", 24, 511, modes); err != nil {
		return nil, fmt.Errorf("ask for a terminal: %w", err)
	}
	stdin, err := shell.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open a shell: %w", err)
	}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open a shell: %w", err)
	}
	if err := shell.Shell(); err != nil {
		return nil, fmt.Errorf("open a shell: %w", err)
	}
	t := &terminal{stdin: stdin, hangUp: hangUp, output: newOutput(stdout), done: make(chan struct{})}
	t.expect, t.over, err = expect.SpawnGeneric(&expect.GenOptions{
		In: stdin, Out: t.output, Check: t.output.open,
		Wait:  func() error { <-t.done; return nil },
		Close: func() error { return nil },
	}, forever, expect.PartialMatch(true), expect.CheckDuration(lookEvery))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("expect: %w", err), t.output.stop(err))
	}
	return t, nil
}

// write types. If ctx ends while the router takes nothing, the connection is
// cut.
func (t *terminal) write(ctx context.Context, text string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, t.hangUp)()
	t.output.refill()
	if _, err := io.WriteString(t.stdin, text); err != nil {
		return fmt.Errorf("the connection is cut: %w", err)
	}
	return nil
}

// await reads until re matches, and returns all that came before its end, and
// the match.
func (t *terminal) await(ctx context.Context, re *regexp.Regexp) (text string, match []string, err error) {
	defer t.limit(ctx)()
	text, match, err = t.expect.Expect(re, forever)
	if err != nil {
		return text, nil, t.output.why(err)
	}
	return text, match, nil
}

// never matches nothing.
var never = regexp.MustCompile(`[^\s\S]`)

// quiet reads until nothing has come for a while.
func (t *terminal) quiet(ctx context.Context, while time.Duration) (text string, err error) {
	defer t.limit(ctx)()
	text, _, err = t.expect.Expect(never, while)
	var timeout expect.TimeoutError
	if errors.As(err, &timeout) {
		return text, nil
	}
	return text, t.output.why(err)
}

// limit ends the reading when ctx ends, for good: who waits no longer does not
// know any more what an answer would be to.
func (t *terminal) limit(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { t.output.stop(context.Cause(ctx)) })
}

// drain waits until the router has hung up, or ctx ends.
func (t *terminal) drain(ctx context.Context) {
	select {
	case <-t.output.ended:
	case <-ctx.Done():
	}
}

// close ends goexpect's goroutines. The connection must be closed already, so
// that what they read has ended.
func (t *terminal) close() {
	t.once.Do(func() {
		t.output.stop(errors.New("the session is closed"))
		close(t.done)
		<-t.over
	})
}

// An output is what a router sends, cleaned, up to a size, until it is stopped.
type output struct {
	ended chan struct{} // closed when the router has nothing more to send

	mu      sync.Mutex
	arrived *sync.Cond
	data    []byte
	room    int   // bytes until the answer is too long
	err     error // why there is no more
	drained bool  // and it has been said to the reader
	nudge   bool  // the reader is to be told of nothing
}

func newOutput(from io.Reader) *output {
	o := &output{ended: make(chan struct{}), room: maxAnswer}
	o.arrived = sync.NewCond(&o.mu)
	go o.pump(from)
	return o
}

// pump takes what comes, also what nobody reads any more: the connection would
// otherwise stand still.
func (o *output) pump(from io.Reader) {
	defer close(o.ended)
	var clean cleaner
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		o.add(clean.clean(buffer[:n]))
		if err != nil {
			o.stop(hungUp(err))
			return
		}
	}
}

func hungUp(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the router has closed the session")
	}
	return fmt.Errorf("the connection is cut: %w", err)
}

func (o *output) add(text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return
	}
	if o.room -= len(text); o.room < 0 {
		o.err = fmt.Errorf("the router sends more than %d MiB in answer to one command", maxAnswer>>20)
	}
	o.data = append(o.data, text...)
	o.arrived.Broadcast()
}

// refill makes room for the next answer.
func (o *output) refill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.room = maxAnswer
}

// stop ends the output; what has come can still be read. It returns err.
func (o *output) stop(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.arrived.Broadcast()
	return err
}

// Read implements io.Reader for goexpect. It may return nothing, without an
// error: goexpect then looks at what it has.
func (o *output) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.data) == 0 && o.err == nil && !o.nudge {
		o.arrived.Wait()
	}
	switch {
	case len(o.data) > 0:
		n := copy(p, o.data)
		o.data = o.data[n:]
		time.AfterFunc(nudgeAfter, o.tellAgain)
		return n, nil
	case o.nudge:
		o.nudge = false
		return 0, nil
	default:
		o.drained = true
		return 0, io.EOF
	}
}

func (o *output) tellAgain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nudge = true
	o.arrived.Broadcast()
}

// open is goexpect's check: true until all that came has been read, since what
// is read while it is false is thrown away.
func (o *output) open() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.drained
}

// why is the reason why a wait ended, in place of goexpect's "not running".
func (o *output) why(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	return err
}
