package bgp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/drivers"
	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/controller"
	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// steering is, in the environment, the directory of a whole controller in a process
// of its own, whose memory is nobody else's. It steers the site of the file "site"
// there by verdicts from its standard input.
const steering = "ROUTESTEER_BGP_STEER"

// BenchmarkVerdictToKernel takes the time from the news that the server which
// carries all prefixes is lost until the last of them goes to another in the kernel
// of BIRD's router. "MiB" is the most memory that the controller's process ever had
// resident.
func BenchmarkVerdictToKernel(b *testing.B) {
	for _, n := range []int{4, 10_000, 100_000} {
		b.Run(fmt.Sprintf("%d prefixes", n), func(b *testing.B) {
			r := newRouter(b)
			r.startBird(birdConfig)
			prefixes := many(n)
			arrived := r.arrivals(prefixes, web1)
			s := steerFrom(b, prefixes)
			arrived()
			s.ask("rest")
			var took, longest time.Duration
			for i := range 2 * b.N {
				here, there := []netip.Addr{web1, web2}[i%2], []netip.Addr{web2, web1}[i%2]
				arrived := r.arrivals(prefixes, there)
				began := time.Unix(0, s.ask("lose", here))
				moved := arrived().Sub(began)
				took, longest = took+moved, max(longest, moved)
				s.ask("find", here)
			}
			b.ReportMetric(float64(took.Microseconds())/1000/float64(2*b.N), "ms/move")
			b.ReportMetric(float64(longest.Microseconds())/1000, "ms-worst")
			memory := s.ask("memory")
			b.ReportMetric(float64(memory)/(1<<20), "MiB")
			if memory > 512<<20 {
				b.Errorf("the controller had %d MiB", memory>>20)
			}
		})
	}
}

// A steered is such a process, seen from here.
type steered struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Scanner
}

// steerFrom starts it for a site of two servers.
func steerFrom(t testing.TB, prefixes []netip.Prefix) *steered {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site"), []byte(siteOf(prefixes)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), steering+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return &steered{t, in, bufio.NewScanner(out)}
}

// ask gives it an order and returns its answer.
func (s *steered) ask(words ...any) int64 {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.in, words...); err != nil {
		s.t.Fatal(err)
	}
	if !s.out.Scan() {
		s.t.Fatalf("%v: the controller has ended", words)
	}
	n, err := strconv.ParseInt(s.out.Text(), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func siteOf(prefixes []netip.Prefix) string {
	var text strings.Builder
	fmt.Fprintf(&text, "servers: {web1: %s, web2: %s}\nchecks: {default: {http: {}, rise: 1}}\npolicy: {failback: never}\n", web1, web2)
	fmt.Fprintf(&text, "routers: {edge: {bgp: {asn: %d, router_id: %s, peers: [{address: %s, asn: %d, hold_time: 9s}]}}}\n", ourAS, ours4, router4, theirAS)
	text.WriteString("vips:\n- primary: web1\n  prefixes:\n")
	for _, p := range prefixes {
		fmt.Fprintf(&text, "  - %s\n", p)
	}
	return text.String()
}

// beSteered is that process.
func beSteered(dir string) error {
	host := NewHost(dir, quiet())
	var nerves nerves
	c, err := controller.New(controller.Options{
		Load: func() (*topology.Site, error) {
			text, err := os.ReadFile(filepath.Join(dir, "site"))
			if err != nil {
				return nil, err
			}
			return topology.Parse("site", text)
		},
		Open: func(router topology.Router, cohorts *steer.Cohorts) (drivers.Driver, error) {
			return host.Open(router, cohorts.Site().VIPs)
		},
		Sense: func(news chan<- health.News, _ *slog.Logger) (controller.Prober, error) {
			nerves.news = news
			return &nerves, nil
		},
		StateFile: filepath.Join(dir, "state.json"), Version: "bench", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background()) }()
	select {
	case <-c.Running():
	case err := <-ended:
		return err
	}
	nerves.allWell()
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		fmt.Println(nerves.obey(strings.Fields(orders.Text())))
	}
	return orders.Err()
}

// nerves stand for checks: they feel what they are told.
type nerves struct {
	news chan<- health.News
	site *topology.Site
}

func (n *nerves) Set(site *topology.Site) error { n.site = site; return nil }

func (n *nerves) Pace(health.Target, health.Pace) {}

func (n *nerves) Use(health.Target, netip.Addr) {}

func (n *nerves) Ask() {}

func (n *nerves) Close() error { return nil }

func (n *nerves) Check(_ context.Context, targets []health.Target) []health.Result {
	results := make([]health.Result, len(targets))
	for i, target := range targets {
		results[i] = health.Result{Target: target, Started: time.Now()}
	}
	return results
}

// allWell has a check of each server pass.
func (n *nerves) allWell() {
	for _, judge := range n.site.Judges() {
		for _, server := range judge.Servers {
			n.news <- health.Result{Target: health.Target{Server: server, VIP: judge.VIP.Prefix}, Started: time.Now()}
		}
	}
}

// obey does what it is told, and returns when it began, or what was asked.
func (n *nerves) obey(order []string) int64 {
	now := time.Now()
	switch order[0] {
	case "lose":
		n.news <- health.Loss{Server: n.at(order[1]), Address: netip.MustParseAddr(order[1]), At: now, Failure: "no reply to 3 echoes"}
	case "find":
		n.news <- health.Found{Server: n.at(order[1]), Address: netip.MustParseAddr(order[1]), At: now}
		for range 32 { // passes enough to rise, however damped
			n.allWell()
		}
		rest()
	case "rest":
		rest()
	case "memory":
		return mostResident()
	}
	return now.UnixNano()
}

func (n *nerves) at(address string) topology.ServerName {
	i := slices.IndexFunc(n.site.Servers, func(s topology.Server) bool { return s.Addresses[0].String() == address })
	return n.site.Servers[i].Name
}

// rest waits until this process has nothing to do, a minute at most: what follows a
// change is not what is measured. A process tells nobody that it rests, so it is asked.
func rest() {
	look := time.NewTicker(300 * time.Millisecond)
	defer look.Stop()
	limit := time.After(time.Minute)
	for before := processorTime(); ; {
		select {
		case <-look.C:
		case <-limit:
			panic("bgp: the controller of the benchmark does not come to rest")
		}
		now := processorTime()
		if now-before < 20*time.Millisecond {
			return
		}
		before = now
	}
}
