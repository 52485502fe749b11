package probe

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

const (
	benchTargets  = 250
	benchInterval = 50 * time.Millisecond // 5,000 checks a second
	benchWindow   = 3 * time.Second       // of each measurement
	benchRounds   = 3                     // of which the median counts
)

// BenchmarkChecksAgainstHAProxy measures the CPU time that 1,000 HTTP checks
// cost HAProxy's checker (option httpchk, one thread), ours with fresh
// connections, and ours with keep_alive: 5,000 checks a second of 250 targets,
// through a veth pair and a bridge, the server a process of its own. The three
// take turns, since other work on the machine makes all of them dearer. It
// takes about 40 s, whatever -benchtime says.
func BenchmarkChecksAgainstHAProxy(b *testing.B) {
	if testing.Short() {
		return
	}
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		haproxy = "/usr/sbin/haproxy"
	}
	l := newLAN(b, 1)
	for i := range benchTargets {
		l.run(l.servers[0], fmt.Sprintf("ip addr add %s/32 dev lo", benchAddress(i)))
	}
	l.run(l.router, "ip route add 203.0.113.0/24 via 192.0.2.11 || true; ip route add 10.99.0.0/16 via 192.0.2.11")
	l.helper(l.servers[0], "lean")
	checkers := []struct {
		name  string
		start func() *exec.Cmd
	}{
		{"haproxy", func() *exec.Cmd { return l.haproxy(haproxy) }},
		{"fresh", func() *exec.Cmd { return l.helper(l.router, "check fresh") }},
		{"keep_alive", func() *exec.Cmd { return l.helper(l.router, "check keep_alive") }},
	}
	cost := map[string][]float64{}
	for range benchRounds {
		for _, c := range checkers {
			per, rate := l.measure(c.start())
			b.Logf("%-10s %6.1f ms of CPU for 1,000 checks, at %5.0f/s", c.name, per, rate)
			cost[c.name] = append(cost[c.name], per)
		}
	}
	reference := median(cost["haproxy"])
	b.ReportMetric(reference, "haproxy-ms/1000")
	b.ReportMetric(median(cost["fresh"]), "fresh-ms/1000")
	b.ReportMetric(median(cost["keep_alive"]), "keepalive-ms/1000")
	b.ReportMetric(median(cost["fresh"])/reference, "fresh/haproxy")
	b.ReportMetric(median(cost["keep_alive"])/reference, "keepalive/haproxy")
	b.ReportMetric(0, "ns/op")
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

func benchAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 99, 1, byte(i + 1)}) }

// measure lets a checker run and returns its CPU time per 1,000 checks, in
// milliseconds, and the checks per second. It ends the checker.
func (l *lan) measure(checker *exec.Cmd) (per, rate float64) {
	l.t.Helper()
	defer func() {
		_ = checker.Process.Kill()
		_ = checker.Wait() // it was killed
	}()
	<-time.After(time.Second) // until it is in its stride
	cpu, count, began := cpuTime(l.t, checker.Process.Pid), l.served(), time.Now()
	<-time.After(benchWindow)
	cpu, count = cpuTime(l.t, checker.Process.Pid)-cpu, l.served()-count
	if count == 0 {
		l.t.Fatal("the checker checks nothing")
	}
	return cpu.Seconds() * 1e6 / float64(count), float64(count) / time.Since(began).Seconds()
}

// cpuTime is what a process has used so far (proc(5): fields 14 and 15 of
// stat, in hundredths of a second).
func cpuTime(t testing.TB, pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var sum time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}

// served asks the lean server how many requests it has answered.
func (l *lan) served() int {
	l.t.Helper()
	var answer []byte
	err := l.router.Do(func() error {
		c, err := net.Dial("tcp", "192.0.2.11:81")
		if err != nil {
			return err
		}
		defer c.Close()
		answer, err = io.ReadAll(c)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	n, err := strconv.Atoi(string(answer))
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// haproxy starts HAProxy as a checker.
func (l *lan) haproxy(program string) *exec.Cmd {
	l.t.Helper()
	var config strings.Builder
	fmt.Fprintf(&config, "global\n nbthread 1\n maxconn 1000\ndefaults\n mode http\n timeout connect 1s\n timeout server 1s\n timeout client 1s\n"+
		"frontend none\n bind 127.0.0.1:9\nbackend web\n option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host test hdr Connection close\n")
	for i := range benchTargets {
		fmt.Fprintf(&config, " server s%d %s:80 check inter %dms\n", i, benchAddress(i), benchInterval.Milliseconds())
	}
	file := filepath.Join(l.t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = l.t.Output(), l.t.Output()
	if err := l.router.Start(cmd); err != nil {
		l.t.Fatalf("start haproxy (Debian: apt install haproxy): %v", err)
	}
	return cmd
}

// help is this test binary in another role, in a namespace of its own process.
func help(role string) {
	var err error
	switch {
	case role == "lean":
		err = leanServer()
	case strings.HasPrefix(role, "check "):
		err = benchChecker(strings.TrimPrefix(role, "check ") == "keep_alive")
	case role == "idle", role == "idle fast":
		err = idleProber(role == "idle fast")
	case role == "alike", role == "standbys":
		err = wideProber(role == "alike")
	case strings.HasPrefix(role, "without"):
		err = poorProber(strings.Fields(role)[1:])
	default:
		serve(strings.Fields(role))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// leanServer answers HTTP at little cost on port 80, and on port 81 says how
// often it has.
func leanServer() error {
	var count atomic.Int64
	web, err := net.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	counter, err := net.Listen("tcp", ":81")
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := counter.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, count.Load())
			_ = c.Close() // written
		}
	}()
	fmt.Println("ready")
	for {
		c, err := web.Accept()
		if err != nil {
			return err
		}
		go answer(c, &count)
	}
}

func answer(c net.Conn, count *atomic.Int64) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 1024)
	for {
		last := false
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			last = last || bytes.EqualFold(line, []byte("Connection: close\r\n"))
			if len(line) == 2 {
				break
			}
		}
		response := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		if last {
			response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
		}
		if _, err := io.WriteString(c, response); err != nil {
			return
		}
		count.Add(1)
		if last {
			return
		}
	}
}

// benchChecker is our checker until it is killed.
func benchChecker(keepAlive bool) error {
	site := &topology.Site{
		Servers: []topology.Server{{Name: "web1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.11")}}},
		Checks: []topology.Check{{
			Name: "web", HTTP: &topology.HTTP{KeepAlive: keepAlive}, Interval: benchInterval, FastInterval: benchInterval,
			Timeout: benchInterval, Rise: 2, Fall: 3, Through: topology.ThroughVIP,
		}},
		Alive: topology.Alive{Off: true},
		Paths: topology.Paths{Mark: 0x52530000, Table: 52000, Priority: 5200},
	}
	fillHTTP(site.Checks[0].HTTP)
	for i := range benchTargets {
		address := benchAddress(i)
		prefix := netip.PrefixFrom(address, 32)
		site.VIPs = append(site.VIPs, topology.VIP{
			Prefix: prefix, Entry: prefix, Judge: prefix, Addresses: []netip.Addr{address}, Check: "web",
			Tiers: []topology.Tier{{Servers: []topology.ServerName{"web1"}}},
		})
	}
	return probeUntilKilled(site, func(health.Target) bool { return true })
}
