package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
	"github.com/routesteer/routesteer/topology"
)

// TestMain runs the tests, or is a helper when a test starts it as one.
func TestMain(m *testing.M) {
	if role := os.Getenv("PROBE_TEST_ROLE"); role != "" {
		help(role)
		return
	}
	if err := netns.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// serve answers HTTP on the addresses, until it is killed.
func serve(addresses []string) {
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() {
			fmt.Println(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "ok\n") // the checker's business
			})))
		}()
	}
	fmt.Println("ready")
	select {}
}

const patience = 10 * time.Second // how long a test waits for what must happen

// timeout is a check's own where a test says nothing: much longer than an answer takes
// on a busy machine, and as long as a test waits where none comes.
const timeout = time.Second

var (
	vip4 = netip.MustParsePrefix("203.0.113.32/27")
	vip6 = netip.MustParsePrefix("2001:db8:f::/64")
)

// A lan is a router and servers on one switch, each in a namespace:
//
//	router lan0 192.0.2.1, fd00:2::1 -- br0 of switch -- eth0 192.0.2.11, fd00:2::11 of web1, ...
type lan struct {
	t       testing.TB
	router  *netns.Namespace
	sw      *netns.Namespace
	servers []*netns.Namespace
}

func newLAN(t testing.TB, servers int) *lan {
	l := &lan{t: t, router: netnstest.New(t, "router"), sw: netnstest.New(t, "switch")}
	l.run(l.sw, "ip link add br0 type bridge; ip link set br0 up")
	l.plug(l.router, "lan0", "router", 1)
	for i := range servers {
		name := fmt.Sprintf("web%d", i+1)
		server := netnstest.New(t, name)
		l.servers = append(l.servers, server)
		l.plug(server, "eth0", name, 11+i)
		l.run(server, "ip addr add 203.0.113.33/32 dev lo; ip addr add 2001:db8:f::1/128 dev lo nodad")
	}
	// Table main says web1, whatever the checks want.
	l.run(l.router, "ip route add 203.0.113.32/27 via 192.0.2.11; ip route add 2001:db8:f::/64 via fd00:2::11")
	return l
}

// plug connects a namespace to the switch, by a port of that name.
func (l *lan) plug(n *netns.Namespace, device, port string, host int) {
	l.t.Helper()
	l.run(n, fmt.Sprintf("ip link add %s type veth peer name %s netns /proc/%d/fd/%d", device, port, os.Getpid(), l.sw.Fd()))
	l.run(l.sw, fmt.Sprintf("ip link set %s master br0 up", port))
	l.run(n, fmt.Sprintf("ip link set %[1]s up; ip addr add 192.0.2.%[2]d/24 dev %[1]s; ip addr add fd00:2::%[2]d/64 dev %[1]s nodad", device, host))
}

// run runs shell commands in a namespace.
func (l *lan) run(n *netns.Namespace, commands string) string {
	l.t.Helper()
	cmd := exec.Command("sh", "-ec", commands)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.Start(cmd); err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		l.t.Fatalf("in %s: %s: %v\n%s", n.Name, commands, err, &out)
	}
	return out.String()
}

// listen opens a TCP listener in a namespace.
func (l *lan) listen(n *netns.Namespace, address string) net.Listener {
	l.t.Helper()
	var listener net.Listener
	err := n.Do(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return listener
}

// serve serves HTTP on all addresses of a namespace, port 80.
func (l *lan) serve(n *netns.Namespace, handler http.HandlerFunc) {
	l.t.Helper()
	server := &http.Server{Handler: handler}
	listener := l.listen(n, ":80")
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(listener) }) // ends by Close
	l.t.Cleanup(func() {
		_ = server.Close() // the listener's end
		done.Wait()
	})
}

// accept hands each connection to a port of a namespace to handle.
func (l *lan) accept(n *netns.Namespace, port uint16, handle func(net.Conn)) {
	l.t.Helper()
	listener := l.listen(n, fmt.Sprintf(":%d", port))
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			done.Go(func() { handle(c); _ = c.Close() })
		}
	})
	l.t.Cleanup(func() {
		_ = listener.Close()
		done.Wait()
	})
}

// helper starts this binary as a process of its own in a namespace, in a role:
// the addresses where a web server listens, or what help knows.
func (l *lan) helper(n *netns.Namespace, role string) *exec.Cmd {
	l.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "PROBE_TEST_ROLE="+role)
	cmd.Stderr = l.t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := n.Start(cmd); err != nil {
		l.t.Fatal(err)
	}
	var ready [5]byte
	if _, err := io.ReadFull(out, ready[:]); err != nil || string(ready[:]) != "ready" {
		l.t.Fatalf("%s: %q, %v", role, ready, err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill() // perhaps a test has
		_ = cmd.Wait()         // it was killed
	})
	return cmd
}

// site is the LAN's servers with one VIP of each family and a check.
func (l *lan) site(check topology.Check) *topology.Site {
	check.Name = "web"
	if check.Interval == 0 {
		check.Interval = time.Second
	}
	if check.FastInterval == 0 {
		check.FastInterval = min(50*time.Millisecond, check.Interval)
	}
	if check.Timeout == 0 {
		check.Timeout = timeout
	}
	if check.Through == "" {
		check.Through = topology.ThroughVIP
	}
	check.Rise, check.Fall = 2, 3
	if h := check.HTTP; h != nil {
		fillHTTP(h)
	}
	site := &topology.Site{
		Checks: []topology.Check{check},
		Alive:  topology.Alive{Off: true},
		Paths:  topology.Paths{Mark: 0x52530000, Table: 52000, Priority: 5200},
	}
	var names []topology.ServerName
	for i, n := range l.servers {
		name := topology.ServerName(n.Name)
		names = append(names, name)
		site.Servers = append(site.Servers, topology.Server{Name: name, Weight: 1, Addresses: []netip.Addr{
			netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", 11+i)),
			netip.MustParseAddr(fmt.Sprintf("fd00:2::%d", 11+i)),
		}})
	}
	for _, prefix := range []netip.Prefix{vip6, vip4} {
		site.VIPs = append(site.VIPs, topology.VIP{
			Prefix: prefix, Entry: prefix, Judge: prefix, Addresses: []netip.Addr{prefix.Addr().Next()}, Check: "web",
			Tiers: []topology.Tier{{Name: "primary", Servers: names}}, Mode: topology.Single,
		})
	}
	return site
}

func fillHTTP(h *topology.HTTP) {
	if h.Port == 0 {
		h.Port = 80
	}
	if h.Method == "" {
		h.Method = "GET"
	}
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Status == nil {
		h.Status = []topology.StatusRange{{First: 200, Last: 399}}
	}
}

// A reader reads the news, and stands in for the controller.
type reader struct {
	t    testing.TB
	news chan health.News
	*Prober
}

// prober opens a prober on the router.
func (l *lan) prober() *reader {
	l.t.Helper()
	r := &reader{t: l.t, news: make(chan health.News, 4096)}
	err := l.router.Do(func() (err error) {
		r.Prober, err = New(r.news, slog.New(slog.NewTextHandler(l.t.Output(), nil)))
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			l.t.Error(err)
		}
	})
	return r
}

// set begins to probe a site.
func (r *reader) set(site *topology.Site) {
	r.t.Helper()
	if err := r.Set(site); err != nil {
		r.t.Fatal(err)
	}
}

// next waits for the next news that a test wants.
func (r *reader) next(what string, want func(health.News) bool) health.News {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case n := <-r.news:
			if want(n) {
				return n
			}
		case <-deadline.C:
			r.t.Fatalf("no %s within %s", what, patience)
		}
	}
}

// soonest tries what should not take longer than a limit, until it does not: a busy
// machine is late now and then, and a mistake each time.
func soonest(t *testing.T, limit time.Duration, try func() time.Duration) {
	t.Helper()
	var took []time.Duration
	for range 5 {
		if took = append(took, try()); slices.Min(took) <= limit {
			return
		}
	}
	t.Errorf("took %s; want at most %s at best", took, limit)
}

// result waits for a result of a target that a test wants.
func (r *reader) result(target health.Target, what string, want func(health.Result) bool) health.Result {
	r.t.Helper()
	n := r.next(what, func(n health.News) bool {
		result, ok := n.(health.Result)
		return ok && result.Target == target && want(result)
	})
	return n.(health.Result)
}

func passes(r health.Result) bool { return r.OK() }
func fails(r health.Result) bool  { return !r.OK() }
func whatever(health.Result) bool { return true }

// check checks targets once and returns their failures.
func (r *reader) check(targets ...health.Target) []string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var failures []string
	for i, result := range r.Check(ctx, targets) {
		if result.Target != targets[i] {
			r.t.Errorf("result %d is of %v, want %v", i, result.Target, targets[i])
		}
		failures = append(failures, result.Failure)
	}
	return failures
}

func web(i int, vip netip.Prefix) health.Target {
	return health.Target{Server: topology.ServerName(fmt.Sprintf("web%d", i)), VIP: vip}
}
