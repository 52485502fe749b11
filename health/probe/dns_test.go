package probe

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// nsdZone holds a record of each type; www answers by way of an alias, and big
// with more than UDP carries.
const nsdZone = `$ORIGIN example.com.
$TTL 60
@ SOA ns1 admin 1 3600 600 86400 60
@ NS ns1
@ MX 10 Mail
ns1 A 192.0.2.11
mail A 203.0.113.33
mail AAAA 2001:db8:f::1
www CNAME mail
www6 CNAME mail
_sip._tcp SRV 0 5 5060 mail
note TXT "two " "words"
33 PTR mail
`

// nsd runs a name server on the first server.
func (l *lan) nsd() {
	l.t.Helper()
	root, err := filepath.Abs("../../build/hosts/nsd")
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, ".complete")); err != nil {
		l.t.Fatalf("%v; scripts/test-tools unpacks it", err)
	}
	dir := l.t.TempDir()
	var zone strings.Builder
	zone.WriteString(nsdZone)
	for i := range 60 {
		fmt.Fprintf(&zone, "big TXT \"%030d\"\n", i)
	}
	// It answers from the address that was asked only if it listens at just that one.
	config := fmt.Sprintf("server:\n ip-address: 203.0.113.33\n ip-address: 2001:db8:f::1\n ip-address: 192.0.2.11\n ip-address: fd00:2::11\n server-count: 1\n username: \"\"\n chroot: \"\"\n database: \"\"\n"+
		" zonesdir: %[1]q\n pidfile: \"\"\n xfrdfile: \"%[1]s/xfrd\"\n zonelistfile: \"%[1]s/zones\"\n xfrdir: %[1]q\n"+
		"remote-control:\n control-enable: no\nzone:\n name: example.com\n zonefile: zone\n", dir)
	for name, text := range map[string]string{"zone": zone.String(), "nsd.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(root, "usr/sbin/nsd"), "-d", "-c", filepath.Join(dir, "nsd.conf"))
	libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
	if err != nil {
		l.t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
	cmd.Stderr = l.t.Output()
	if err := l.servers[0].Start(cmd); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it ends its children
		_ = cmd.Wait()
	})
}

// asking is a check by DNS with the defaults of the file.
func asking(dns topology.DNS) topology.Check {
	if dns.Type == "" {
		dns.Type = "A"
	}
	if dns.Port == 0 {
		dns.Port = 53
	}
	if dns.RCode == "" {
		dns.RCode = "NOERROR"
	}
	return topology.Check{DNS: &dns}
}

func TestDNSOfNSD(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.nsd()
	r := l.prober()
	r.set(l.site(asking(topology.DNS{Name: "example.com.", Type: "SOA"})))
	for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
		r.result(target, "pass", passes) // nsd has started
	}
	for _, c := range []struct {
		ask     topology.DNS
		failure string
	}{
		{topology.DNS{Name: "mail.example.com."}, ""},
		{topology.DNS{Name: "MAIL.example.com.", Answer: "203.0.113.33"}, ""},
		{topology.DNS{Name: "mail.example.com.", Answer: "203.0.113.34"}, `the answer is "203.0.113.33", want "203.0.113.34"`},
		{topology.DNS{Name: "mail.example.com.", Type: "AAAA", Answer: "2001:db8:f::1"}, ""},
		{topology.DNS{Name: "www.example.com.", Answer: "203.0.113.33"}, ""},
		{topology.DNS{Name: "www.example.com.", Type: "CNAME", Answer: "mail.example.com."}, ""},
		{topology.DNS{Name: "example.com.", Type: "MX", Answer: "10 mail.example.com."}, ""},
		{topology.DNS{Name: "example.com.", Type: "NS", Answer: "ns1.example.com."}, ""},
		{topology.DNS{Name: "33.example.com.", Type: "PTR", Answer: "mail.example.com."}, ""},
		{topology.DNS{Name: "_sip._tcp.example.com.", Type: "SRV", Answer: "0 5 5060 mail.example.com."}, ""},
		{topology.DNS{Name: "note.example.com.", Type: "TXT", Answer: "two words"}, ""},
		{topology.DNS{Name: "note.example.com."}, "no A record in the answer"},
		{topology.DNS{Name: "nobody.example.com."}, "rcode NXDOMAIN, want NOERROR"},
		{topology.DNS{Name: "nobody.example.com.", RCode: "NXDOMAIN"}, ""},
		{topology.DNS{Name: "example.org.", RCode: "REFUSED"}, ""},
		{topology.DNS{Name: "big.example.com.", Type: "TXT", Answer: "000000000000000000000000000059"}, "the answer is truncated, and what is there is not enough: use tcp: true"},
		{topology.DNS{Name: "mail.example.com.", Port: 54}, "connection refused"},
	} {
		for _, tcp := range []bool{false, true} {
			ask, want := c.ask, c.failure
			ask.TCP = tcp
			if tcp && strings.Contains(want, "truncated") {
				want = ""
			}
			r.set(l.site(unhurried(asking(ask))))
			for i, got := range r.check(web(1, vip4), web(1, vip6)) {
				if got != want {
					t.Errorf("%s %s, want rcode %q and answer %q, tcp %v, VIP %d: failure %q, want %q", ask.Name, ask.Type, ask.RCode, ask.Answer, tcp, i, got, want)
				}
			}
		}
	}
}

// TestANameServerThatIsSilent holds that a UDP check that hears nothing tells a
// lost loopback alias from a lost server.
func TestANameServerThatIsSilent(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.nsd()
	r := l.prober()
	check := asking(topology.DNS{Name: "mail.example.com."})
	r.set(l.site(check))
	r.result(web(1, vip4), "pass", passes)
	r.set(l.site(manual(check)))
	l.run(l.servers[0], "ip addr del 203.0.113.33/32 dev lo")
	got := r.checkOnce(t.Context(), web(1, vip4))
	if want := "timeout after 1s (waiting for an answer by UDP)"; got.Failure != want {
		t.Errorf("failure %q, want %q", got.Failure, want)
	}
	if want := "it answers at its own address: no loopback alias?"; got.Hint != want {
		t.Errorf("hint %q, want %q", got.Hint, want)
	}
}

// answerUDP hands each datagram to an address of the first server to handle.
func (l *lan) answerUDP(address string, handle func(socket net.PacketConn, from net.Addr, datagram []byte)) {
	l.t.Helper()
	var socket net.PacketConn
	if err := l.servers[0].Do(func() (err error) {
		socket, err = net.ListenPacket("udp", address)
		return err
	}); err != nil {
		l.t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		in := make([]byte, 512)
		for n, from, err := socket.ReadFrom(in); err == nil; n, from, err = socket.ReadFrom(in) {
			handle(socket, from, in[:n])
		}
	})
	l.t.Cleanup(func() {
		_ = socket.Close()
		done.Wait()
	})
}

// lie answers a query with what is no answer to it, and then with one.
func lie(socket net.PacketConn, from net.Addr, datagram []byte) {
	var query dnsmessage.Message
	if query.Unpack(datagram) != nil {
		return
	}
	asked := query.Questions[0]
	late, other, right := query, query, query
	late.Header.Response, late.Header.ID = true, query.Header.ID+1
	other.Header.Response, other.Questions = true, []dnsmessage.Question{{Name: dnsmessage.MustNewName("example.org."), Type: asked.Type, Class: asked.Class}}
	right.Header.Response = true
	right.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: asked.Name, Class: asked.Class}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}},
	}}
	for _, message := range []dnsmessage.Message{query, late, other, right} {
		if out, err := message.Pack(); err == nil {
			_, _ = socket.WriteTo(out, from) // the check notices what is lost
		}
	}
}

// TestANameServerThatLies answers queries of another id or question first, which
// are no answers, and over TCP in ways that end the check.
func TestANameServerThatLies(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.answerUDP("203.0.113.33:53", lie)
	tcp := make(chan string, 1)
	l.accept(l.servers[0], 53, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 2+34)) // the query
		_, _ = io.WriteString(c, <-tcp)
	})
	r := l.prober()
	r.set(l.site(unhurried(asking(topology.DNS{Name: "mail.example.com."}))))
	if got := r.check(web(1, vip4))[0]; got != "" {
		t.Errorf("after messages that are no answers: %s", got)
	}
	r.set(l.site(unhurried(asking(topology.DNS{Name: "mail.example.com.", TCP: true}))))
	for said, want := range map[string]string{
		"":                     "connection closed (waiting for the answer)",
		"\x00":                 "connection closed (waiting for the answer)",
		"\x00\x0cshort":        "connection closed (reading the answer)",
		"\x00\x0222":           "it answers another question",
		"HTTP/1.1 400 Bad\r\n": "connection closed (reading the answer)",
	} {
		tcp <- said
		if got := r.check(web(1, vip4))[0]; got != want {
			t.Errorf("to %q: %q, want %q", said, got, want)
		}
	}
}

// FuzzDNSAnswer holds that no message panics, that one is ours only if it is a
// response of the id, and that one passes only if it holds the record.
func FuzzDNSAnswer(f *testing.F) {
	spec := *asking(topology.DNS{Name: "www.example.com.", Type: "TXT", Answer: "ready"}).DNS
	want := newDNSAnswer(spec)
	answer := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, Response: true},
		Questions: []dnsmessage.Question{want.question},
		Answers: []dnsmessage.Resource{
			{Header: dnsmessage.ResourceHeader{Name: want.question.Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("a.example.com.")}},
			{Header: dnsmessage.ResourceHeader{Name: want.question.Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.TXTResource{TXT: []string{"ready"}}},
		},
	}
	good, err := answer.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good[:20])
	f.Add(want.query(7))
	refused := append([]byte{}, good[:12]...)
	refused[3] |= 5
	f.Add(refused)
	f.Fuzz(func(t *testing.T, message []byte) {
		ours, err := want.judge(7, message)
		if ours && (len(message) < 12 || message[1] != 7 || message[2]&0x80 == 0) {
			t.Errorf("%x is taken for ours", message)
		}
		for _, letter := range []byte("ready") { // one record may hold them in several strings
			if ours && err == nil && bytes.IndexByte(message, letter) < 0 {
				t.Errorf("%x passes", message)
			}
		}
		if err != nil && !ours {
			t.Errorf("%x is not ours, and fails: %v", message, err)
		}
	})
}
