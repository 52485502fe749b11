package probe

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// never is an interval that a test does not live to see.
const never = time.Hour

// manual is a check that runs only when a test asks.
func manual(check topology.Check) topology.Check {
	check.Interval, check.FastInterval = never, never
	return check
}

// unhurried is one that a busy machine does not make time out.
func unhurried(check topology.Check) topology.Check {
	check.Timeout = patience
	return manual(check)
}

func TestFailuresAreInAnOperatorsWords(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	server := l.servers[0]
	release := make(chan struct{})
	hang := func(net.Conn) { <-release }
	drip := func(c net.Conn) { // one byte each 20 ms, for ever
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); err == nil; _, err = c.Write([]byte{'x'}) {
			<-tick.C
		}
	}
	flood := func(c net.Conn) {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for ; err == nil; _, err = io.WriteString(c, "X: "+strings.Repeat("x", 1000)+"\r\n") {
		}
	}
	port := uint16(8000)
	r := l.prober()
	for _, c := range []struct {
		name   string
		handle func(net.Conn)
		want   string
	}{
		{"nobody listens", nil, "connection refused"},
		{"no answer", hang, "timeout after 1s (waiting for the response)"},
		{"a byte now and then", drip, "timeout after 1s (reading the response)"},
		{"headers without end", flood, "malformed response: more than 16 KiB of headers"},
		{"closed without a word", func(c net.Conn) { _, _ = bufio.NewReader(c).ReadString('\n') }, "connection closed (waiting for the response)"},
		{"not HTTP", func(c net.Conn) { _, _ = io.WriteString(c, "220 mail\r\n") }, `malformed response: "220 mail\r\n" is not HTTP/1`},
	} {
		port++
		if c.handle != nil {
			l.accept(server, port, c.handle)
		}
		check := topology.Check{HTTP: &topology.HTTP{Port: port}}
		if strings.HasPrefix(c.want, "timeout") {
			r.set(l.site(manual(check)))
		} else {
			r.set(l.site(unhurried(check)))
		}
		began := time.Now()
		for _, got := range r.check(web(1, vip4), web(1, vip6)) {
			if got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
		if took := time.Since(began); took > patience/2 { // a drip would last for ever
			t.Errorf("%s: took %s with a timeout of %s", c.name, took, timeout)
		}
	}
	close(release)
}

func TestAServerWithoutTheVIPTimesOut(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.servers {
		l.serve(n, says("ok"))
	}
	l.run(l.servers[1], "ip addr del 203.0.113.33/32 dev lo; ip -6 addr del 2001:db8:f::1/128 dev lo")
	r := l.prober()
	for kind, check := range map[string]topology.Check{
		"connecting":                 {HTTP: &topology.HTTP{}},
		"waiting for the echo reply": {ICMP: &topology.ICMP{}},
	} {
		r.set(l.site(manual(check)))
		got := r.check(web(1, vip4), web(2, vip4), web(1, vip6), web(2, vip6))
		late := "timeout after 1s (" + kind + ")"
		if want := []string{"", late, "", late}; !slices.Equal(got, want) {
			t.Errorf("failures %q, want %q", got, want)
		}
	}
}

func TestACheckOnRequestTellsALostAliasFromALostServer(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	for _, n := range l.servers[:2] {
		l.serve(n, says("ok"))
	}
	l.run(l.servers[1], "ip addr del 203.0.113.33/32 dev lo; ip -6 addr del 2001:db8:f::1/128 dev lo")
	l.run(l.servers[2], "ip link set eth0 down")
	r := l.prober()
	const alias = "it answers at its own address: no loopback alias?"
	for kind, check := range map[string]topology.Check{"http": {HTTP: &topology.HTTP{}}, "icmp": {ICMP: &topology.ICMP{}}} {
		check.Timeout = timeout / 2 // what the silent are asked again for must not be told of before, by a neighbour that fails
		r.set(l.site(manual(check)))
		for _, vip := range []netip.Prefix{vip4, vip6} {
			for forwards, want := range map[string][]string{"0": {"", alias, ""}, "1": {"", alias, ""}} {
				l.run(l.servers[1], "sysctl -qw net.ipv4.ip_forward="+forwards+" net.ipv6.conf.all.forwarding="+forwards)
				var got []string
				for _, result := range r.Check(t.Context(), []health.Target{web(1, vip), web(2, vip), web(3, vip)}) {
					got = append(got, result.Hint)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s to %s, ip_forward %s: hints %q, want %q", kind, vip, forwards, got, want)
				}
			}
		}
	}
}

func TestAllAddressesOfAVIPAreChecked(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.serve(l.servers[0], says("ok"))
	r := l.prober()
	site := l.site(manual(topology.Check{HTTP: &topology.HTTP{}}))
	second := vip4.Addr().Next().Next()
	site.VIPs[1].Addresses = append(site.VIPs[1].Addresses, second)
	r.set(site)
	if got, want := r.check(web(1, vip4))[0], "203.0.113.34: timeout after 1s (connecting)"; got != want {
		t.Errorf("failure %q, want %q", got, want)
	}
	l.run(l.servers[0], "ip addr add 203.0.113.34/32 dev lo")
	if got := r.check(web(1, vip4))[0]; got != "" {
		t.Errorf("with both addresses: %s", got)
	}
}

func TestKeepAliveUsesOneConnectionAndForgivesItsEnd(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	var connections, requests atomic.Int32
	l.accept(l.servers[0], 80, func(c net.Conn) {
		connections.Add(1)
		in := bufio.NewReader(c)
		for range 5 { // the sixth request finds it closed
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			requests.Add(1)
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
				return
			}
		}
		_, _ = in.ReadByte() // the checker's sixth request, or its end
	})
	r := l.prober()
	site := l.site(topology.Check{HTTP: &topology.HTTP{KeepAlive: true, Body: "ok"}, Interval: 5 * time.Millisecond, FastInterval: 5 * time.Millisecond})
	site.VIPs = site.VIPs[1:] // one target
	r.set(site)
	for range 30 {
		if result := r.result(web(1, vip4), "result", whatever); !result.OK() {
			t.Fatal(result.Failure)
		}
	}
	if c, n := connections.Load(), requests.Load(); n < 30 || c < n/5 || c > n/5+1 {
		t.Errorf("%d requests over %d connections", n, c)
	}
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	signed := httptest.NewUnstartedServer(says("ok")) // for its certificate, which no root knows
	signed.StartTLS()
	config := signed.TLS.Clone()
	signed.Close()
	var connections atomic.Int32
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: says("ok"), TLSConfig: config, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}}
	listener := l.listen(l.servers[0], ":443")
	ended := make(chan error)
	go func() { ended <- server.Serve(tls.NewListener(listener, config)) }()
	defer func() {
		_ = server.Close()
		<-ended
	}()
	r := l.prober()
	https := topology.HTTP{TLS: true, Port: 443}
	r.set(l.site(manual(topology.Check{HTTP: &https})))
	for _, got := range r.check(web(1, vip4), web(1, vip6)) {
		if !strings.Contains(got, "certificate") {
			t.Errorf("with a bad certificate: %q", got)
		}
	}
	skip := https
	skip.Certificate.SkipVerify, skip.Body, skip.KeepAlive = true, "ok", true
	before := connections.Load()
	site := l.site(topology.Check{HTTP: &skip, Interval: 5 * time.Millisecond, FastInterval: 5 * time.Millisecond})
	site.VIPs = site.VIPs[1:]
	r.set(site)
	for range 10 {
		if result := r.result(web(1, vip4), "result", whatever); !result.OK() {
			t.Fatal(result.Failure)
		}
	}
	if n := connections.Load() - before; n != 1 {
		t.Errorf("%d connections with keep_alive, want 1", n)
	}
}

func TestAFrozenServerIsFoundByItsChecks(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	server := l.helper(l.servers[0], ":80")
	r := l.prober()
	r.set(l.site(topology.Check{HTTP: &topology.HTTP{}, Interval: 50 * time.Millisecond, FastInterval: 10 * time.Millisecond, Watch: true}))
	r.result(web(1, vip4), "pass", passes)
	if err := server.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	got := r.result(web(1, vip4), "failure", fails)
	if want := "timeout after 1s (waiting for the response)"; got.Failure != want {
		t.Errorf("failure %q, want %q", got.Failure, want)
	}
	if err := server.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.result(web(1, vip4), "pass", passes)
}
