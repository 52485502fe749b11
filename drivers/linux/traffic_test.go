package linux

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/internal/netns/netnstest"
	"github.com/routesteer/routesteer/steer"
)

const (
	packetRate = 50000 // a second
	burstEvery = time.Millisecond
	lateness   = 100 * time.Millisecond // a generator this late has not sent at the rate
)

// A stream sends UDP packets round the prefixes, through the router.
type stream struct {
	sent int
	late time.Duration // the most that a burst was behind its time
	err  error
	end  chan struct{}
	wg   sync.WaitGroup
}

// serve makes the far ends of the networks into servers that carry the
// prefixes, and adds a client to the router. The kernel counts what arrives.
func (r *router) serve(prefixes []netip.Prefix) (client *netns.Namespace) {
	r.t.Helper()
	client = netnstest.New(r.t, "client")
	r.ip("link add client type veth peer name router netns /proc/%d/fd/%d", os.Getpid(), client.Fd())
	for _, command := range []string{"link set client up", "address add 10.255.0.1/24 dev client", "address add fd00:c::1/64 dev client nodad"} {
		r.ip("%s", command)
	}
	for _, command := range []string{
		"link set router up", "address add 10.255.0.2/24 dev router", "address add fd00:c::2/64 dev router nodad",
		"route add default via 10.255.0.1", "-6 route add default via fd00:c::1",
	} {
		r.run(client, "ip "+command)
	}
	r.run(r.wires, "ip link set lo up")
	r.run(r.wires, "ip route add local 10.0.0.0/9 dev lo")
	r.run(r.wires, "ip -6 route add local 2001:2::/32 dev lo")
	for _, n := range []struct{ lan, address string }{
		{"lan0", "192.0.2.11"}, {"lan0", "192.0.2.12"}, {"lan1", "198.51.100.13"},
		{"lan0", "2001:db8:1::11"}, {"lan0", "2001:db8:1::12"}, {"lan1", "2001:db8:2::13"},
	} {
		mac := regexp.MustCompile(`link/ether (\S+)`).FindStringSubmatch(r.run(r.wires, "ip link show "+n.lan))[1]
		r.ip("neigh replace %s lladdr %s dev %s nud permanent", n.address, mac, n.lan)
	}
	r.sysctl("ipv4/ip_forward", "1")
	r.sysctl("ipv6/conf/all/forwarding", "1")
	return client
}

// send starts a stream in the namespace.
func send(t *testing.T, from *netns.Namespace, prefixes []netip.Prefix) *stream {
	t.Helper()
	s := &stream{end: make(chan struct{})}
	var fd int
	if err := from.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	to := make([]*unix.SockaddrInet6, len(prefixes))
	for i, p := range prefixes {
		to[i] = &unix.SockaddrInet6{Port: 9, Addr: p.Addr().As16()}
	}
	s.wg.Go(func() {
		defer unix.Close(fd)
		s.run(fd, to)
	})
	return s
}

func (s *stream) run(fd int, to []*unix.SockaddrInet6) {
	tick := time.NewTicker(burstEvery)
	defer tick.Stop()
	start := time.Now()
	for {
		select {
		case <-s.end:
			return
		case <-tick.C:
		}
		due := int(time.Since(start) * packetRate / time.Second)
		s.late = max(s.late, time.Duration(due-s.sent)*time.Second/packetRate-burstEvery)
		for ; s.sent < due; s.sent++ {
			if err := unix.Sendto(fd, []byte("packet"), 0, to[s.sent%len(to)]); err != nil {
				s.err = fmt.Errorf("packet %d: %w", s.sent, err)
				return
			}
		}
	}
}

func (s *stream) stop() {
	close(s.end)
	s.wg.Wait()
}

// missing waits until what was sent last has come: it may still wait for another
// CPU when the sender is done. What does not come in time is lost.
func missing(count func() int) int {
	over := time.After(5 * time.Second)
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		n := count()
		if n == 0 {
			return 0
		}
		select {
		case <-again.C:
		case <-over:
			return n
		}
	}
}

// counter reads one of the kernel's counters of a namespace.
func counter(t *testing.T, in *netns.Namespace, six bool, name4, name6 string) int {
	t.Helper()
	file, expression := "/proc/self/net/snmp6", `(?m)^`+name6+`\s+(\d+)`
	if !six {
		file, expression = "/proc/self/net/snmp", `(?m)^Udp: \d+ (\d+)` // NoPorts, the second
	}
	if !six && name4 == "InNoRoutes" {
		file, expression = "/proc/self/net/netstat", `(?m)^IpExt: (\d+)` // the first
	}
	var text []byte
	if err := in.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self" + file[len("/proc/self"):])
		return err
	}); err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(expression).FindSubmatch(text)
	if match == nil {
		t.Fatalf("no %s or %s in %s", name4, name6, file)
	}
	n, err := strconv.Atoi(string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// thrownAway counts what the kernel says it has thrown away, in each of the namespaces, and
// with the queues of the processors: it tells why a packet did not arrive.
func thrownAway(r *router, namespaces ...*netns.Namespace) map[string]int {
	r.t.Helper()
	counts := map[string]int{}
	for _, namespace := range namespaces {
		for _, line := range strings.Split(r.run(namespace, "nstat -asz"), "\n") {
			words := strings.Fields(line)
			if len(words) != 3 || !regexp.MustCompile("Discard|Drop|Err|NoRoute|Fail").MatchString(words[0]) {
				continue
			}
			n, err := strconv.Atoi(words[1])
			if err != nil {
				r.t.Fatal(err)
			}
			counts[namespace.Name+" "+words[0]] = n
		}
	}
	text, err := os.ReadFile("/proc/net/softnet_stat") // a line for each processor; the second word
	if err != nil {
		r.t.Fatal(err)
	}
	for cpu, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		n, err := strconv.ParseInt(strings.Fields(line)[1], 16, 64)
		if err != nil {
			r.t.Fatal(err)
		}
		counts[fmt.Sprintf("queue of processor %d, of all namespaces", cpu)] = int(n)
	}
	return counts
}

// No packet is lost by any kind of move, while 50,000 a second go through the
// router.
func TestNoMoveLosesAPacket(t *testing.T) {
	for _, six := range []bool{false, true} {
		t.Run(familyName(six), func(t *testing.T) {
			r := newRouter(t)
			prefixes := many(200, six)
			client := r.serve(prefixes)
			one, other, both := hops(t, "192.0.2.11"), hops(t, "198.51.100.13"), hops(t, "192.0.2.12*2 198.51.100.13")
			if six {
				one, other, both = hops(t, "2001:db8:1::11"), hops(t, "2001:db8:2::13"), hops(t, "2001:db8:1::12*2 2001:db8:2::13")
			}
			d := r.openCohorts(defaults, prefixes[:150], prefixes[150:199], prefixes[199:])
			apply(t, d, whole(steer.Add, prefixes, one))
			told(t, d, prefixes, one)
			arrived := func() int { return counter(t, r.wires, six, "NoPorts", "Udp6NoPorts") }
			unrouted := func() int { return counter(t, r.kernel, six, "InNoRoutes", "Ip6InNoRoutes") }
			before, lost, thrown := arrived(), unrouted(), thrownAway(r, client, r.kernel, r.wires)

			s := send(t, client, prefixes)
			moves := moveAround(t, d, prefixes, one, other, both)
			s.stop()
			if s.err != nil {
				t.Fatal(s.err)
			}
			t.Logf("%d packets, %d moves, at most %v late", s.sent, moves, s.late)
			if n := unrouted() - lost; n != 0 {
				t.Errorf("the router had no route for %d packets", n)
			}
			if n := missing(func() int { return s.sent - (arrived() - before) }); n != 0 && s.late < lateness {
				since := thrownAway(r, client, r.kernel, r.wires)
				maps.DeleteFunc(since, func(name string, n int) bool { return n == thrown[name] })
				t.Errorf("%d of %d packets did not arrive; the kernel's counters that have changed: %v, were %v", n, s.sent, since, thrown)
			}
		})
	}
}

// moveAround makes every kind of move for two seconds: of whole cohorts, of one
// prefix, of most of a cohort, of all prefixes in one change, of a lone prefix.
func moveAround(t *testing.T, d *Driver, prefixes []netip.Prefix, states ...[]steer.NextHop) (moves int) {
	t.Helper()
	parts := [][]netip.Prefix{prefixes[:150], prefixes[150:199], prefixes[10:11], prefixes[:149], prefixes[:150], prefixes, prefixes[199:]}
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		for _, to := range states {
			for _, part := range parts {
				apply(t, d, whole(steer.Replace, part, to))
				moves++
			}
			settle(t, d, prefixes, to)
		}
	}
	return moves
}
