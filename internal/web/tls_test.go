package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// An authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key, a.pem, _ = a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// issue signs a certificate with a fresh key; the authority's own by itself.
func (a *authority) issue(c *x509.Certificate) (cert *x509.Certificate, key *ecdsa.PrivateKey, certPEM, keyPEM string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if c.SerialNumber == nil {
		c.SerialNumber = big.NewInt(1)
	}
	signer, signed := a.key, a.cert
	if signed == nil {
		signer, signed = key, c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, signed, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err = x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	encode := func(kind string, text []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text}))
	}
	return cert, key, encode("CERTIFICATE", der), encode("PRIVATE KEY", raw)
}

// server issues a certificate for loopback.
func (a *authority) server(serial int64) (certPEM, keyPEM string) {
	_, _, certPEM, keyPEM = a.issue(&x509.Certificate{SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	return certPEM, keyPEM
}

// client issues a certificate that proves who a caller is.
func (a *authority) client(c *x509.Certificate) tls.Certificate {
	a.t.Helper()
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	_, _, certPEM, keyPEM := a.issue(c)
	pair, err := tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// offerTLS has it listen with a certificate of a, and accept clients of b.
func (w *world) offerTLS(a, b *authority) topology.Web {
	w.t.Helper()
	certPEM, keyPEM := a.server(1)
	web := topology.Web{Listen: freePort(w.t), Read: topology.ReadToken, TLS: &topology.WebTLS{
		CertFile: w.file("cert.pem", certPEM), KeyFile: w.file("key.pem", keyPEM), ClientCAFile: w.file("ca.pem", b.pem),
	}}
	w.become(web)
	w.listens()
	w.url = strings.Replace(w.url, "http:", "https:", 1)
	return web
}

// trust makes the client trust a, and show certificates.
func (w *world) trust(a *authority, certificates ...tls.Certificate) {
	w.client.CloseIdleConnections()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	w.client = secure(&tls.Config{RootCAs: pool, Certificates: certificates})
}

// TestWhoHasACertificateMayMakeChanges and is known by its name; who has none, or one
// of somebody else, may not even look.
func TestWhoHasACertificateMayMakeChanges(t *testing.T) {
	w, ours, clients := enter(t), newAuthority(t), newAuthority(t)
	w.offerTLS(ours, clients)
	for name, certificate := range map[string]*x509.Certificate{
		"cert:web1":            {Subject: pkix.Name{CommonName: "web1"}},
		"cert:web2.example":    {DNSNames: []string{"web2.example"}},
		"cert:ann@example.com": {EmailAddresses: []string{"ann@example.com"}},
		"cert:serial 77":       {SerialNumber: big.NewInt(77)},
	} {
		w.trust(ours, clients.client(certificate))
		if got := w.ask("POST", api.DrainPath, drainWeb1); got.status != 200 {
			t.Errorf("%s: %d %s %v", name, got.status, got.body, got.err)
		}
		if asked := w.operator.asked; asked[len(asked)-1].By != name {
			t.Errorf("by %q, want %q", asked[len(asked)-1].By, name)
		}
	}
	w.trust(ours)
	if got := w.ask("GET", api.StatusPath, ""); got.status != 401 {
		t.Errorf("without a certificate: %d %v", got.status, got.err)
	}
	w.trust(ours, newAuthority(t).client(&x509.Certificate{Subject: pkix.Name{CommonName: "web1"}}))
	if got := w.ask("POST", api.DrainPath, drainWeb1); got.status == 200 {
		t.Errorf("with a stranger's certificate: %d %v", got.status, got.err)
	}
}

// TestACertificateIsReadAgainWhenItChanges, and kept when what is there is none.
func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	w, a := enter(t), newAuthority(t)
	web := w.offerTLS(a, a)
	wantSerial := func(want int64) {
		t.Helper()
		conn, err := tls.Dial("tcp", web.Listen.String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != want {
			t.Errorf("certificate %d, want %d", got, want)
		}
	}
	wantSerial(1)
	certPEM, keyPEM := a.server(2)
	w.file("cert.pem", certPEM)
	w.obeys(web)
	if warning := receive(t, w.warned); !strings.Contains(warning, "does not match") {
		t.Errorf("a certificate without its key yet: status warns %q", warning)
	}
	wantSerial(1)
	w.file("key.pem", keyPEM)
	w.obeys(web)
	wantSerial(2)
	if warning := receive(t, w.warned); warning != "" {
		t.Errorf("status still warns %q", warning)
	}
}

func TestOldTLSIsRefusedAndHTTP2Spoken(t *testing.T) {
	w, a := enter(t), newAuthority(t)
	web := w.offerTLS(a, a)
	if conn, err := tls.Dial("tcp", web.Listen.String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
	conn, err := tls.Dial("tcp", web.Listen.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("it speaks %q", got)
	}
}

// TestWithoutItsCertificateItDoesNotListen, and says why.
func TestWithoutItsCertificateItDoesNotListen(t *testing.T) {
	w := enter(t)
	web := topology.Web{Listen: freePort(t), Read: topology.ReadAnyone, TLS: &topology.WebTLS{CertFile: w.dir + "/none", KeyFile: w.dir + "/none"}}
	w.become(web)
	if warning := receive(t, w.warned); !strings.Contains(warning, "no such file") {
		t.Errorf("status warns %q", warning)
	}
	if conn, err := net.Dial("tcp", web.Listen.String()); err == nil {
		conn.Close()
		t.Error("it listens")
	}
}
