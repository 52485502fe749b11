package lab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// answerTimeout is how long a request or packet may take: later is lost.
const answerTimeout = time.Second

// A loadPlan is what the generator's process is told on its command line.
type loadPlan struct {
	vips     []netip.Addr
	servers  []string
	httpRate int   // new connections a second to each of httpVIPs
	httpVIPs []int // indexes in vips
	udpRate  int   // packets a second, spread evenly over udpVIPs
	udpVIPs  []int // indexes in vips
}

// arguments writes the plan as RunLoad reads it.
func (p loadPlan) arguments() []string {
	words := func(v any) string { return strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", ",") }
	return []string{
		"--vips", words(p.vips), "--servers", words(p.servers), "--http", fmt.Sprint(p.httpRate),
		"--http-vips", words(p.httpVIPs), "--udp", fmt.Sprint(p.udpRate), "--udp-vips", words(p.udpVIPs),
	}
}

func parseLoadPlan(args []string) (loadPlan, error) {
	var p loadPlan
	flags := flag.NewFlagSet("lab-node load", flag.ContinueOnError)
	flags.Func("vips", "addresses, with commas", func(text string) error {
		for word := range strings.SplitSeq(text, ",") {
			address, err := netip.ParseAddr(word)
			if err != nil {
				return err
			}
			p.vips = append(p.vips, address)
		}
		return nil
	})
	flags.Func("servers", "names that may be in answers, with commas", func(text string) error {
		p.servers = strings.Split(text, ",")
		return nil
	})
	flags.IntVar(&p.httpRate, "http", 0, "new connections a second to each VIP")
	flags.IntVar(&p.udpRate, "udp", 0, "packets a second")
	flags.Func("http-vips", "indexes of VIPs that connections go to, with commas", indexes(&p.httpVIPs))
	flags.Func("udp-vips", "indexes of VIPs that packets go to, with commas", indexes(&p.udpVIPs))
	if err := flags.Parse(args); err != nil {
		return p, fmt.Errorf("lab-node load: %w", err)
	}
	return p, p.check()
}

// indexes reads numbers with commas into list.
func indexes(list *[]int) func(string) error {
	return func(text string) error {
		for word := range strings.SplitSeq(text, ",") {
			index, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			*list = append(*list, index)
		}
		return nil
	}
}

// family is that of all VIPs.
func (p loadPlan) family() Family { return familyOf(p.vips[0]) }

func (p loadPlan) check() error {
	outside := func(i int) bool { return i < 0 || i >= len(p.vips) }
	switch {
	case len(p.vips) == 0:
		return errors.New("load: no VIP to send to")
	case p.httpRate < 0 || p.httpRate*len(p.httpVIPs) > 50_000:
		return fmt.Errorf("load: %d connections/s to each of %d VIPs: at most 50000 in all", p.httpRate, len(p.httpVIPs))
	case slices.ContainsFunc(p.httpVIPs, outside):
		return fmt.Errorf("load: connections to VIPs %v of %d", p.httpVIPs, len(p.vips))
	case p.udpRate < 0 || p.udpRate > 200_000:
		return fmt.Errorf("load: %d packets/s: at most 200000", p.udpRate)
	case p.udpRate > 0 && len(p.udpVIPs) == 0:
		return errors.New("load: no VIP to send packets to")
	case slices.ContainsFunc(p.udpVIPs, outside):
		return fmt.Errorf("load: packets to VIPs %v of %d", p.udpVIPs, len(p.vips))
	}
	return nil
}

// RunLoad is the traffic generator's process, in the client's namespace. It is
// open loop: requests start when they are due, whatever became of earlier
// ones. It writes a Sample for each to stdout, and when stdin or ctx ends it
// starts no more, waits for what is under way, and returns. Lines of stdin are
// orders to keep established connections.
func RunLoad(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	plan, err := parseLoadPlan(args)
	if err != nil {
		return err
	}
	// Little garbage is made, and a pause costs more than memory here.
	debug.SetGCPercent(800)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	web, err := newHTTPLoad(plan)
	if err != nil {
		return err
	}
	defer web.close()
	datagrams, err := newUDPLoad(plan)
	if err != nil {
		return err
	}
	defer datagrams.close()
	keeper, err := newKeptLoad(plan)
	if err != nil {
		return err
	}
	defer keeper.close()
	// The reader ends with stdin, which may be later than this function.
	orders := make(chan error, 1)
	go func() {
		orders <- readOrders(ctx, stdin, keeper.orders)
		cancel()
	}()
	out := &sampleWriter{w: stdout}
	var group sync.WaitGroup
	group.Go(func() { web.run(ctx, out) })
	group.Go(func() { datagrams.run(ctx, out) })
	group.Go(func() { keeper.run(ctx, out) })
	group.Wait()
	select {
	case err = <-orders:
	default:
	}
	return errors.Join(err, out.flush())
}

// flushPeriod is how long samples are gathered before they are written.
const flushPeriod = 20 * time.Millisecond

// A sampleWriter gathers samples and writes them in large pieces. It may be
// used by several goroutines.
type sampleWriter struct {
	mu      sync.Mutex
	w       io.Writer
	buf     []byte
	flushed time.Time
	err     error
}

// add takes encoded samples. The pipe's reader does nothing but read, so that
// a write under the lock is short.
func (s *sampleWriter) add(encoded []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = append(s.buf, encoded...)
	if time.Since(s.flushed) > flushPeriod {
		s.write()
	}
}

// flush writes the rest, and returns the first error there was.
func (s *sampleWriter) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write()
	return s.err
}

func (s *sampleWriter) write() {
	if s.err == nil && len(s.buf) > 0 {
		_, s.err = s.w.Write(s.buf)
	}
	s.buf, s.flushed = s.buf[:0], time.Now()
}

// A clock gives wall-clock times that never step, as long as it lives.
type clock struct{ base time.Time }

func newClock() clock { return clock{base: time.Now()} }

// now returns the time since the clock was made.
func (c clock) now() time.Duration { return time.Since(c.base) }

// at returns the time of day of a moment of this clock.
func (c clock) at(d time.Duration) time.Time { return c.base.Add(d) }

// mix makes a nonce that nobody answers by counting (splitmix64's finish).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
