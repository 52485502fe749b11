package scripts_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// program is routesteer, built once.
var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "routesteer")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "routesteer")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../cmd/routesteer") // as make build does, whose work is kept
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(binary)
})

// siteHost is a host that is the operator's desk too: it has routesteer, the
// example as site.yaml, and an ssh that stays where it is.
func siteHost(t *testing.T, packages ...string) *host {
	t.Helper()
	program, err := program()
	if err != nil {
		t.Fatal(err)
	}
	site, err := os.ReadFile("../routesteer.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, packages...)
	h.install("networkd")
	h.write("etc/systemd/system/multi-user.target.wants/systemd-networkd.service", "") // enabled
	h.write("tmp/site.yaml", string(site))
	h.write("tmp/vips.txt", "203.0.113.33\n")
	h.write("tmp/scripts/loopback-setup", h.read("loopback-setup"))
	h.write("usr/local/bin/routesteer", string(program))
	h.write("usr/local/bin/ssh", "#!/bin/sh\nshift\nexec \"$@\"\n")
	h.write("usr/local/bin/sudo", "#!/bin/sh\nexec \"$@\"\n")
	h.must("sh", "-c", "mkdir /tmp/image; chmod 755 /usr/local/bin/* /tmp/scripts/*")
	return h
}

// web4VIPs are what the example gives to web4, which has both IP versions.
var web4VIPs = []string{"198.18.0.10", "198.18.2.70", "203.0.113.33", "203.0.113.65", "203.0.113.66", "203.0.113.96", "203.0.113.97", "2001:db8:100::80"}

// TestTheManualCanBeTyped runs every command of docs/hosts.md in its order.
func TestTheManualCanBeTyped(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	h := siteHost(t)
	typed := 0
	for line := range strings.Lines(string(manual)) {
		command, is := strings.CutPrefix(line, "    ")
		if !is {
			continue
		}
		typed++
		if out, errs, code := h.try("sh", "-c", "cd /tmp && "+command); code != 0 {
			t.Errorf("%s: exit %d\n%s%s", command, code, out, errs)
		}
	}
	if typed < 8 {
		t.Errorf("only %d commands found", typed)
	}
	for format := range formats {
		if !strings.Contains(string(manual), "| `"+format+"` |") {
			t.Errorf("the manual does not say what %s is", format)
		}
	}
}

func TestAServerGetsItsVIPsFromTheSite(t *testing.T) {
	t.Parallel()
	h := siteHost(t)
	said := h.must("sh", "-c", "routesteer loopback web4 -c /tmp/site.yaml | ssh web4 sudo sh")
	if !strings.Contains(said, "format networkd: systemd-networkd.service is enabled") {
		t.Errorf("it said %q", said)
	}
	h.expect("web4", web4VIPs)
}

// listening returns the addresses with ports that programs listen at.
func (h *host) listening() []string {
	h.t.Helper()
	var all []string
	for line := range strings.Lines(h.must("ss", "-Hltn")) {
		all = append(all, strings.Fields(line)[3])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var web4Listens = []string{"198.18.0.10:80", "198.18.2.70:80", "203.0.113.33:80", "203.0.113.65:80", "203.0.113.66:80", "203.0.113.96:443", "[2001:db8:100::80]:80"}

func TestNginxListensOnTheVIPs(t *testing.T) {
	t.Parallel()
	h := siteHost(t, "nginx")
	h.must("sh", "-c", "routesteer loopback web4 -c /tmp/site.yaml | sh")
	lines := h.must("routesteer", "loopback", "web4", "-c", "/tmp/site.yaml", "--listen", "nginx")
	h.write("tmp/pair.pem", selfSigned(t))
	h.write("tmp/nginx.conf", "pid /tmp/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\nserver {\n"+
		"ssl_certificate /tmp/pair.pem;\nssl_certificate_key /tmp/pair.pem;\n"+lines+"}\n}\n")
	h.must("nginx", "-t", "-c", "/tmp/nginx.conf")
	h.must("sh", "-c", "nginx -c /tmp/nginx.conf >/tmp/nginx.log 2>&1") // it keeps what it is started with
	if got := h.listening(); !slices.Equal(got, web4Listens) {
		t.Errorf("nginx listens at %v, want %v", got, web4Listens)
	}
}

func TestApacheListensOnTheVIPs(t *testing.T) {
	t.Parallel()
	h := siteHost(t, "apache2")
	h.must("sh", "-c", "routesteer loopback web4 -c /tmp/site.yaml | sh")
	lines := h.must("routesteer", "loopback", "web4", "-c", "/tmp/site.yaml", "--listen", "apache")
	h.write("tmp/apache.conf", "ServerRoot /tmp\nServerName web4\nPidFile /tmp/apache.pid\nErrorLog /tmp/error.log\n"+
		"LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n"+
		"LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"+lines)
	h.must("apache2", "-f", "/tmp/apache.conf", "-t")
	h.must("sh", "-c", "apache2 -f /tmp/apache.conf -k start >/tmp/apache.log 2>&1")
	if got := h.listening(); !slices.Equal(got, web4Listens) {
		t.Errorf("apache listens at %v, want %v", got, web4Listens)
	}
}

func TestANameServerTakesTheZone(t *testing.T) {
	t.Parallel()
	h := siteHost(t, "bind9-utils")
	h.must("sh", "-c", "routesteer dns zone -c /tmp/site.yaml >/tmp/vips.zone")
	h.write("tmp/zone", "$TTL 3600\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\n$INCLUDE /tmp/vips.zone\n")
	got := h.must("named-checkzone", "-D", "-o", "-", "-k", "fail", "example.com", "/tmp/zone")
	var vips []string
	for line := range strings.Lines(got) {
		if f := strings.Fields(line); len(f) == 5 && (f[3] == "A" || f[3] == "AAAA") && f[0] != "ns.example.com." {
			vips = append(vips, strings.Join(f, " "))
		}
	}
	want := []string{
		"customers.example.com. 60 IN A 198.18.0.10", "customers.example.com. 60 IN A 198.18.2.70", "mail.example.com. 60 IN A 203.0.113.97",
		"shop.example.com. 60 IN A 203.0.113.96", "www.example.com. 60 IN A 203.0.113.33", "www.example.com. 60 IN A 203.0.113.65",
		"www.example.com. 60 IN A 203.0.113.66", "www.example.com. 60 IN AAAA 2001:db8:100::80",
	}
	slices.Sort(vips)
	if !slices.Equal(vips, want) {
		t.Errorf("the zone has\n%s\nwant\n%s\nof\n%s", strings.Join(vips, "\n"), strings.Join(want, "\n"), got)
	}
	h.must("sh", "-c", "routesteer dns zone -c /tmp/site.yaml --name @ --ttl 0 >/tmp/vips.zone; named-checkzone -k fail example.com /tmp/zone")
}

// selfSigned makes a certificate and its key.
func selfSigned(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}
