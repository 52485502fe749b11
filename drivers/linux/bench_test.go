package linux

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/routesteer/routesteer/steer"
	"github.com/routesteer/routesteer/topology"
)

// The benchmarks of this file measure routesteer and others that do the same
// one after the other in one run. Each row has the metric "ratio": how many
// times as long as routesteer's it takes.

// A contest is one size of one family, on a kernel of its own.
type contest struct {
	*router
	prefixes []netip.Prefix
	to       [2]string // the two next hops that prefixes go between
	ours     time.Duration
}

// A rival makes moves. start returns the move to each of the next hops, which
// returns when the kernel has the last route.
type rival struct {
	name  string
	most  int // prefixes; more would take too long
	start func(*testing.B, *contest) (move func(to int))
}

var rivals = []rival{
	{"ip-batch-delete-add", 100000, byBatch(true)},
	{"ip-batch-replace", 100000, byBatch(false)},
	{"netlink-one-by-one", 100000, byNetlink},
	{"frr-staticd", 1000, byFRR},
	{"bird", 100000, byBIRD},
}

// BenchmarkResteer moves all prefixes of a site from one server to another,
// from the driver's being told to the last route in the kernel.
func BenchmarkResteer(b *testing.B) {
	for _, six := range []bool{false, true} {
		for _, n := range []int{1, 1000, 10000, 100000} {
			b.Run(fmt.Sprintf("%s/prefixes=%d", familyName(six), n), func(b *testing.B) {
				c := newContest(b, n, six)
				for _, compat := range []string{"1", "0"} { // the last is what the others are compared with
					c.sysctl("ipv4/nexthop_compat_mode", compat)
					b.Run("routesteer/nexthop_compat_mode="+compat, func(b *testing.B) { c.benchmarkOurs(b) })
				}
				c.sysctl("ipv4/nexthop_compat_mode", "1")
				for _, r := range rivals {
					if n <= r.most {
						b.Run(r.name, func(b *testing.B) { newContestOf(b, c).benchmark(b, r) })
					}
				}
			})
		}
	}
}

// BenchmarkFirstInstallation writes 100,000 routes where there are none.
func BenchmarkFirstInstallation(b *testing.B) {
	for _, six := range []bool{false, true} {
		b.Run(familyName(six), func(b *testing.B) {
			c := newContest(b, 100000, six)
			b.Run("routesteer", func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					d := c.openCohorts(defaults, c.prefixes)
					apply(b, d, whole(steer.Remove, c.prefixes, nil))
					b.StartTimer()
					apply(b, d, whole(steer.Add, c.prefixes, hops(b, c.to[0])))
				}
				c.ours = b.Elapsed() / time.Duration(b.N)
				b.ReportMetric(1, "ratio")
			})
			b.Run("ip-batch-add", func(b *testing.B) {
				c := newContestOf(b, c)
				text := c.commands("route add %s via %s\n", 0)
				for b.Loop() {
					b.StopTimer()
					c.ip("%s route flush proto boot", flag(c.prefixes[0]))
					b.StartTimer()
					c.batch(text)
				}
				c.report(b)
			})
		})
	}
}

func familyName(six bool) string {
	if six {
		return "IPv6"
	}
	return "IPv4"
}

// behind is what a driver is told that only looks: of a route of any metric it
// tells what another program wrote.
var behind = topology.Linux{Table: 254, Metric: 100000, Protocol: 82}

func newContest(b *testing.B, n int, six bool) *contest {
	c := &contest{router: newRouter(b), prefixes: many(n, six), to: [2]string{"192.0.2.11", "192.0.2.12"}}
	if six {
		c.to = [2]string{"2001:db8:1::11", "2001:db8:1::12"}
	}
	return c
}

// newContestOf gives a rival a kernel of its own.
func newContestOf(b *testing.B, c *contest) *contest {
	rival := *c
	rival.router = newRouter(b)
	return &rival
}

func (c *contest) benchmarkOurs(b *testing.B) {
	d := c.openCohorts(defaults, c.prefixes)
	apply(b, d, whole(steer.Add, c.prefixes, hops(b, c.to[0])))
	told(b, d, c.prefixes, hops(b, c.to[0]))
	to := [][]steer.NextHop{hops(b, c.to[0]), hops(b, c.to[1])}
	for at := 1; b.Loop(); at = 1 - at {
		apply(b, d, whole(steer.Replace, c.prefixes, to[at]))
	}
	c.ours = b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(1, "ratio")
	apply(b, d, whole(steer.Replace, c.prefixes, to[0]))
	told(b, d, c.prefixes, to[0])
}

func (c *contest) benchmark(b *testing.B, r rival) {
	move := r.start(b, c)
	move(0)
	for at := 1; b.Loop(); at = 1 - at {
		move(at)
	}
	c.report(b)
}

func (c *contest) report(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed()/time.Duration(b.N))/float64(c.ours), "ratio")
}

// commands writes a line for each prefix.
func (c *contest) commands(format string, to int) string {
	var b strings.Builder
	for _, p := range c.prefixes {
		fmt.Fprintf(&b, format, p, c.to[to])
	}
	return b.String()
}

func byBatch(remove bool) func(*testing.B, *contest) func(int) {
	return func(b *testing.B, c *contest) func(int) {
		c.batch(c.commands("route add %s via %s\n", 0))
		var texts [2]string
		for to := range texts {
			texts[to] = c.commands("route replace %s via %s\n", to)
			if remove {
				texts[to] = c.commands("route del %[1]s\nroute add %[1]s via %[2]s\n", to)
			}
		}
		return func(to int) { c.batch(texts[to]) }
	}
}

func byNetlink(b *testing.B, c *contest) func(int) {
	h, err := netlink.NewHandleAt(netns.NsHandle(c.kernel.Fd()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(h.Close)
	return func(to int) {
		gateway := netip.MustParseAddr(c.to[to]).AsSlice()
		for _, p := range c.prefixes {
			route := netlink.Route{Dst: netlink.NewIPNet(p.Addr().AsSlice()), Gw: gateway}
			route.Dst.Mask = mask(p)
			if err := h.RouteReplace(&route); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func mask(p netip.Prefix) []byte {
	m := make([]byte, p.Addr().BitLen()/8)
	for i := range p.Bits() {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return m
}

// arrived returns when all prefixes are in the kernel via the next hop.
func (c *contest) arrived(b *testing.B, d *Driver, to int) {
	want := hops(b, c.to[to])
	late := time.Now().Add(time.Minute)
	for {
		routes, err := d.Routes(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if len(routes) == len(c.prefixes) && !slices.ContainsFunc(routes, func(r steer.Route) bool { return !slices.Equal(r.NextHops, want) }) {
			return
		}
		if time.Now().After(late) {
			b.Fatalf("the kernel has %d of %d routes", len(routes), len(c.prefixes))
		}
		select { // something has to happen before another look is worth it
		case <-d.Changed():
		case <-time.After(time.Second):
		}
	}
}

// daemon starts a program in the router and ends it with the benchmark.
func (c *contest) daemon(b *testing.B, name string, args ...string) {
	b.Helper()
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := c.kernel.Start(cmd); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b.Failed() {
			b.Logf("%s: %s", name, out.String())
		}
	})
}

// appears waits for a file that a daemon makes when it is ready.
func appears(b *testing.B, path string) {
	b.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(20 * time.Second)
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-again.C:
		case <-late:
			b.Fatalf("%s does not appear", path)
		}
	}
}

func byFRR(b *testing.B, c *contest) func(int) {
	dir, err := os.MkdirTemp("", "frr") // not in b.TempDir, whose parent is closed to FRR's own user
	if err == nil {
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"zebra", "staticd"} {
		c.daemon(b, "/usr/lib/frr/"+name, "-P", "0", "-z", filepath.Join(dir, "zserv.api"),
			"-i", filepath.Join(dir, name+".pid"), "--vty_socket", dir, "-f", "/dev/null")
		appears(b, filepath.Join(dir, name+".vty"))
	}
	word := "ip"
	if c.prefixes[0].Addr().Is6() {
		word = "ipv6"
	}
	var files [2]string
	for to := range files {
		text := c.commands("no "+word+" route %s %s\n", 1-to) + c.commands(word+" route %s %s\n", to)
		files[to] = filepath.Join(dir, fmt.Sprint("to", to))
		if err := os.WriteFile(files[to], []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	d := c.open(behind, c.prefixes...)
	return func(to int) {
		c.run(c.kernel, "vtysh --vty_socket "+dir+" -f "+files[to])
		c.arrived(b, d, to)
	}
}

func byBIRD(b *testing.B, c *contest) func(int) {
	dir := b.TempDir()
	channel := "ipv4"
	if c.prefixes[0].Addr().Is6() {
		channel = "ipv6"
	}
	var texts [2][]byte
	for to := range texts {
		texts[to] = []byte("router id 192.0.2.1;\nprotocol device {}\n" +
			"protocol kernel { " + channel + " { export all; }; }\n" +
			"protocol static { " + channel + ";\n" + c.commands("route %s via %s;\n", to) + "}\n")
	}
	file, socket := filepath.Join(dir, "bird.conf"), filepath.Join(dir, "bird.ctl")
	write := func(to int) {
		if err := os.WriteFile(file, texts[to], 0o644); err != nil {
			b.Fatal(err)
		}
	}
	write(0)
	c.daemon(b, "/usr/sbin/bird", "-f", "-c", file, "-s", socket, "-P", filepath.Join(dir, "bird.pid"))
	appears(b, socket) // before the file is read
	d := c.open(behind, c.prefixes...)
	c.arrived(b, d, 0)
	return func(to int) {
		write(to)
		c.run(c.kernel, "/usr/sbin/birdc -s "+socket+" configure")
		c.arrived(b, d, to)
	}
}
