package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// LoadOptions says how much traffic the client makes. The zero value is what
// `lab report` measures with.
type LoadOptions struct {
	Requests int   // new HTTP connections a second to each VIP; default 500
	HTTP     []int // indexes of the VIPs that the requests go to; default the first four
	Packets  int   // UDP packets a second in all; default 10000
	UDP      []int // indexes of the VIPs that the packets go to, evenly; default the first thousand

	// Established connections, spread over the VIPs that the requests go to:
	// opened before the load counts as started, each with a request every one to
	// two seconds. Default none.
	Established int
}

// What LoadOptions' zero value means.
const (
	DefaultRequests = 500    // new HTTP connections a second to each VIP
	DefaultPackets  = 10_000 // UDP packets a second in all
)

// How many VIPs get traffic unless LoadOptions say which. With more the
// generator would measure itself, or not fit on its command line.
const (
	defaultHTTP = 4
	defaultUDP  = 1000
)

func (o LoadOptions) plan(site Site) loadPlan {
	p := loadPlan{servers: site.names(), httpRate: o.Requests, httpVIPs: o.HTTP, udpRate: o.Packets, udpVIPs: o.UDP}
	if p.httpRate == 0 {
		p.httpRate = DefaultRequests
	}
	if p.udpRate == 0 {
		p.udpRate = DefaultPackets
	}
	if len(o.HTTP) == 0 {
		p.httpVIPs = firstOf(min(defaultHTTP, len(site.VIPs)))
	}
	if len(o.UDP) == 0 {
		p.udpVIPs = firstOf(min(defaultUDP, len(site.VIPs)))
	}
	used := 1 + slices.Max(slices.Concat(p.httpVIPs, p.udpVIPs))
	for _, vip := range site.VIPs[:min(used, len(site.VIPs))] {
		p.vips = append(p.vips, vip.Address)
	}
	return p
}

// firstOf returns the first n indexes.
func firstOf(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// A Load is the running traffic generator. Open a Window to measure.
type Load struct {
	process *process
	servers []string   // by index, as in samples
	stdin   *os.File   // for orders
	read    chan error // one value, when the last sample has been read
	once    sync.Once  // of the end
	err     error      // of the end

	mu      sync.Mutex
	windows []*Window
	tallies []*tally
	seen    time.Time // start of the newest sample
	ledger  ledger
	wanted  int // established connections that were ordered
}

// startLoad starts the generator's process in the client's namespace.
func startLoad(h *host, dir string, node []string, plan loadPlan) (*Load, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	stdinR, stdinW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the load: %w", err)
	}
	defer stdinR.Close()
	stdoutR, stdoutW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the load: %w", err), stdinW.Close())
	}
	defer stdoutW.Close()
	enlarge(stdoutW)
	p, err := startProcess(h, dir, "load", append(slices.Clone(node), append([]string{"load"}, plan.arguments()...)...), stdinR, stdoutW)
	if err != nil {
		return nil, errors.Join(err, stdinW.Close(), stdoutR.Close())
	}
	l := &Load{process: p, servers: plan.servers, stdin: stdinW, read: make(chan error, 1),
		ledger: ledger{servers: make([]int, len(plan.servers))}}
	go func() {
		l.read <- errors.Join(readSamples(stdoutR, l.take), stdoutR.Close())
	}()
	return l, nil
}

// enlarge makes a pipe hold what the generator says in some seconds, so that
// it never waits for this process. Unprivileged users may have no such pipe;
// then a stall of a quarter second makes the generator late, which it reports.
func enlarge(pipe *os.File) {
	_, _ = unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, 1<<20)
}

func (l *Load) take(samples []Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range samples {
		l.seen = later(l.seen, s.Start)
		l.ledger.take(s)
		for _, w := range l.windows {
			w.take(s)
		}
		for _, t := range l.tallies {
			t.take(s)
		}
	}
}

// Wait waits until the generator has reported its first sample.
func (l *Load) Wait(ctx context.Context) error {
	return l.poll(ctx, 5*time.Millisecond, "the load's first sample", func() bool { return !l.seen.IsZero() })
}

// Open starts a window at this moment. Close it, or it grows.
func (l *Load) Open() *Window {
	w := &Window{load: l, from: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.windows = append(l.windows, w)
	return w
}

// Stop ends the generator and returns when all of its samples have been read.
// Stopping twice is the same as once.
func (l *Load) Stop() error { return l.end(answerTimeout + startTimeout) }

// end asks the generator to stop and kills it if it does not in time.
func (l *Load) end(grace time.Duration) error {
	l.once.Do(func() {
		l.err = l.stdin.Close()
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-l.process.done:
		case <-timer.C:
			l.err = errors.Join(l.err, l.process.kill())
		}
		l.err = errors.Join(l.err, <-l.read)
		if l.process.err != nil {
			l.err = errors.Join(l.err, fmt.Errorf("the load failed: %w; %s", l.process.err, l.process.lastWords()))
		}
	})
	return l.err
}

// kill ends the generator at once; nobody wants its samples any more.
func (l *Load) kill() { _ = l.end(0) }

// CPU returns how much processor time the generator used, with the kernel's
// part of it. It may be called only after Stop.
func (l *Load) CPU() time.Duration {
	state := l.process.cmd.ProcessState
	return state.UserTime() + state.SystemTime()
}

// A Window is the samples of requests and packets started within a time.
type Window struct {
	load *Load
	from time.Time

	// Guarded by load.mu.
	failed  time.Time // start of the newest sample that failed; at first, from
	samples []Sample
}

// take keeps the sample if it started within the window, which is open. Of
// established connections it keeps what ended in it: a connection that broke
// was whole when the window opened.
func (w *Window) take(s Sample) {
	if s.Start.Before(w.from) && !(s.Kind.kept() && s.End().After(w.from)) {
		return
	}
	w.samples = append(w.samples, s)
	if s.Result != OK {
		w.failed = later(w.failed, s.Start)
	}
}

// Close ends the window now, waits for the answers that may still come, and
// returns what happened in it.
func (w *Window) Close(ctx context.Context) (Figures, error) {
	return w.closeAt(ctx, time.Now())
}

// CloseDecided ends the window at the last moment of which everything has
// been decided, about a second ago, and returns at once.
func (w *Window) CloseDecided(ctx context.Context) (Figures, error) {
	w.load.mu.Lock()
	end := w.load.seen.Add(-w.load.decided())
	w.load.mu.Unlock()
	return w.closeAt(ctx, end)
}

// decided is the age at which a request has become something: the time it
// may take, and some for the generator to say so. The caller holds the lock.
func (l *Load) decided() time.Duration {
	const told = 50 * time.Millisecond
	if l.wanted > 0 {
		return keptTimeout + told
	}
	return answerTimeout + told
}

func (w *Window) closeAt(ctx context.Context, end time.Time) (Figures, error) {
	err := poll(ctx, 10*time.Millisecond, "the load's last answers", func() (bool, error) {
		if !w.load.process.running() {
			return true, nil
		}
		w.load.mu.Lock()
		defer w.load.mu.Unlock()
		return w.load.seen.Sub(end) >= w.load.decided(), nil
	})
	w.Discard()
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	return w.figures(end), err
}

// Discard ends the window without a look at it.
func (w *Window) Discard() {
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	w.load.windows = slices.DeleteFunc(w.load.windows, func(other *Window) bool { return other == w })
}

// Now returns what is known of the window so far. Requests that are under way
// are not in it.
func (w *Window) Now() Figures {
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	return w.figures(time.Now())
}

// figures computes those of the window until then. The caller holds the lock.
func (w *Window) figures(end time.Time) Figures {
	within := slices.DeleteFunc(slices.Clone(w.samples), func(s Sample) bool { return s.Start.After(end) })
	f := figure(within, w.from, end)
	f.Connections = connections(w.samples, w.load.ledger.servers, end)
	return f
}

// Quiet waits until nothing that started in the last calm, since the call,
// has failed. It takes at least calm plus the time that a request may take.
func (w *Window) Quiet(ctx context.Context, calm time.Duration) error {
	began := time.Now()
	return w.load.poll(ctx, 20*time.Millisecond, "a time without failures", func() bool {
		return w.load.seen.Sub(later(began, w.failed)) > calm+w.load.decided()
	})
}

// poll calls done now and then until it says so.
func poll(ctx context.Context, every time.Duration, what string, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
