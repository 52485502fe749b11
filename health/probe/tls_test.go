package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// An authority issues certificates, into files.
type authority struct {
	t    testing.TB
	dir  string
	file string // its own certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.newKey()
	a.cert, a.file = a.sign("ca", template, template, a.key, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) sign(name string, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (*x509.Certificate, string) {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, a.write(name+".pem", "CERTIFICATE", der)
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue makes a certificate for a host name that holds from an hour ago, and the
// files of it and its key.
func (a *authority) issue(host string, holds time.Duration) (cert, key string) {
	a.t.Helper()
	private := a.newKey()
	name := fmt.Sprintf("%s-%s", host, holds)
	_, cert = a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(min(0, holds) - time.Hour), NotAfter: time.Now().Add(holds),
	}, a.cert, private, a.key)
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, a.write(name+".key", "EC PRIVATE KEY", der)
}

// nginx runs a web server with these lines in its http section, on the first
// server.
func (l *lan) nginx(servers string) {
	l.t.Helper()
	const program = "../../build/hosts/nginx/usr/sbin/nginx"
	if _, err := os.Stat(program); err != nil {
		l.t.Fatalf("%v; scripts/test-tools unpacks it", err)
	}
	dir := l.t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	text := "daemon off; master_process off; pid nginx.pid; events {} http { access_log off; " +
		"client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n" + servers + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(program, "-p", dir, "-c", config, "-e", "stderr")
	cmd.Stderr = l.t.Output()
	if err := l.servers[0].Start(cmd); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it serves until then
		_ = cmd.Wait()
	})
}

func TestTLSOfNginx(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	ca, stranger := newAuthority(t), newAuthority(t)
	const day = 24 * time.Hour
	var servers strings.Builder
	serve := func(port uint16, cert, key string) {
		fmt.Fprintf(&servers, "server { listen %[1]d ssl; listen [::]:%[1]d ssl; ssl_certificate %[2]s; ssl_certificate_key %[3]s; }\n", port, cert, key)
	}
	for i, holds := range []time.Duration{30 * day, 3 * day, -day} {
		cert, key := ca.issue("www.example.com", holds)
		serve(uint16(4430+i), cert, key)
	}
	cert, key := stranger.issue("www.example.com", 30*day)
	serve(4433, cert, key)
	fmt.Fprintln(&servers, "server { listen 8080; listen [::]:8080; }")
	l.nginx(servers.String())

	ours := topology.Certificate{ServerName: "www.example.com", CAFile: ca.file, MinDays: 7}
	another, anybody := ours, topology.Certificate{SkipVerify: true}
	another.ServerName = "mail.example.com"
	nobody := topology.Certificate{ServerName: "www.example.com"}
	r := l.prober()
	r.set(l.site(topology.Check{TLS: &topology.TLS{Port: 4430, Certificate: ours}}))
	r.result(web(1, vip4), "pass", passes) // nginx has started
	for _, c := range []struct {
		name            string
		port            uint16
		want            topology.Certificate
		failure, notice string
	}{
		{"it holds for long", 4430, ours, "", ""},
		{"it ends soon", 4431, ours, "", `the certificate of "www.example.com" ends on `},
		{"it has ended", 4432, ours, "x509: certificate has expired", ""},
		{"an authority that we do not know", 4433, ours, "x509: certificate signed by unknown authority", ""},
		{"the system's authorities do not know ours", 4430, nobody, "x509: certificate signed by unknown authority", ""},
		{"another name", 4430, another, "x509: certificate is valid for www.example.com, not mail.example.com", ""},
		{"no name is no address", 4430, topology.Certificate{CAFile: ca.file}, "x509: cannot validate certificate for ", ""},
		{"whatever it is", 4432, anybody, "", ""},
		{"no TLS", 8080, ours, "first record does not look like a TLS handshake (TLS handshake)", ""},
		{"nobody listens", 4434, ours, "connection refused", ""},
	} {
		https := topology.HTTP{TLS: true, Port: c.port, Method: "GET", Path: "/", Status: []topology.StatusRange{{First: 200, Last: 499}}, Certificate: c.want}
		for kind, check := range map[string]topology.Check{
			"tls": {TLS: &topology.TLS{Port: c.port, Certificate: c.want}}, "https": {HTTP: &https},
		} {
			r.set(l.site(unhurried(check)))
			for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
				got := r.checkOnce(t.Context(), target)
				if !strings.Contains(got.Failure, c.failure) || (got.Failure == "") != (c.failure == "") {
					t.Errorf("%s, %s, %s: failure %q, want %q", kind, c.name, target.VIP, got.Failure, c.failure)
				}
				if !strings.HasPrefix(got.Notice, c.notice) || (got.Notice == "") != (c.notice == "") {
					t.Errorf("%s, %s, %s: notice %q, want %q", kind, c.name, target.VIP, got.Notice, c.notice)
				}
			}
		}
	}
}

func TestATLSHandshakeThatHangsTimesOut(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	release := make(chan struct{})
	l.accept(l.servers[0], 443, func(net.Conn) { <-release })
	defer close(release)
	r := l.prober()
	r.set(l.site(manual(topology.Check{TLS: &topology.TLS{Port: 443}})))
	for _, got := range r.check(web(1, vip4), web(1, vip6)) {
		if want := "timeout after 1s (TLS handshake)"; got != want {
			t.Errorf("failure %q, want %q", got, want)
		}
	}
}

func TestAFileOfAuthoritiesThatCannotBeReadIsRefusedAndTheFormerSiteGoesOn(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.serve(l.servers[0], says("ok"))
	dir := t.TempDir()
	empty, large := filepath.Join(dir, "empty.pem"), filepath.Join(dir, "large.pem")
	for path, size := range map[string]int{empty: 0, large: maxAuthorities + 1} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := l.prober()
	r.set(l.site(topology.Check{HTTP: &topology.HTTP{}}))
	for path, want := range map[string]string{
		"/nowhere/ca.pem": "read the authorities of check web: open /nowhere/ca.pem: no such file or directory",
		empty:             empty + " holds no certificate in PEM",
		large:             large + " has more than 1048576 bytes",
	} {
		err := r.Set(l.site(topology.Check{TLS: &topology.TLS{Port: 443, Certificate: topology.Certificate{CAFile: path}}}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
	r.result(web(1, vip4), "pass", passes)
}

func TestAChainHoldsAsLongAsTheFirstOfItsCertificates(t *testing.T) {
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	holds := func(days ...int) (chain []*x509.Certificate) {
		for _, d := range days {
			chain = append(chain, &x509.Certificate{NotAfter: now.AddDate(0, 0, d)})
		}
		return chain
	}
	for _, c := range []struct {
		name   string
		chains [][]*x509.Certificate
		want   int // days; -1: nothing verified
	}{
		{"nothing was verified", nil, -1},
		{"the server's own ends first", [][]*x509.Certificate{holds(5, 50, 500)}, 5},
		{"an intermediate's ends first", [][]*x509.Certificate{holds(60, 50, 500)}, 50},
		{"another chain holds longer", [][]*x509.Certificate{holds(60, 50, 500), holds(60, 500)}, 60},
	} {
		want := now.AddDate(0, 0, c.want)
		if c.want < 0 {
			want = time.Time{}
		}
		if got := validUntil(c.chains); !got.Equal(want) {
			t.Errorf("%s: until %s, want %s", c.name, got, want)
		}
	}
}
