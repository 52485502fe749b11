package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"iter"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/internal/web"
	"github.com/routesteer/routesteer/topology"
)

// cmdRemote is the scripts' command `remote https|http`: a fake controller that is
// reached at $URL, which is
// at $AT. alice.token may all, web1.token is good for web1; ca.pem is the
// authority of its certificate. By https, ann.pem and ann.key are a client's.
func cmdRemote(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: remote https|http")
	}
	site := &topology.Site{Web: topology.Web{Listen: loopbackPort(ts), Read: topology.ReadToken, Tokens: []topology.Token{
		{Name: "alice", Secret: topology.Secret{File: writeSecret(ts, "alice.token", "the-token-of-alice")}},
		{Name: "web1", Secret: topology.Secret{File: writeSecret(ts, "web1.token", "the-token-of-web1")}, Servers: []topology.ServerName{"web1"}},
	}}}
	if args[0] == "https" {
		site.Web.TLS = writeCertificate(ts)
		site.Web.TLS.ClientCAFile = writeClient(ts, "ann")
	}
	ts.Setenv("AT", site.Web.Listen.String())
	ts.Setenv("URL", args[0]+"://"+site.Web.Listen.String())
	ctx, cancel := context.WithCancel(context.Background())
	opened, done := make(opening), make(chan struct{})
	go func() {
		defer close(done)
		web.Serve(ctx, web.Options{
			Sites: only(ctx, site), Operator: &fakeController{admin: api.Admin{State: "ready"}, ends: "idle"}, Log: slog.New(opened),
			Page: http.NotFoundHandler(), Metrics: http.NotFoundHandler(), Warn: func(context.Context, string) {},
		})
	}()
	<-opened
	ts.Defer(func() {
		cancel()
		<-done
	})
}

// only yields one site, and ends with ctx.
func only(ctx context.Context, site *topology.Site) iter.Seq[*topology.Site] {
	return func(yield func(*topology.Site) bool) {
		yield(site)
		<-ctx.Done()
	}
}

// An opening is a log whose first line is that the door is open, or not.
type opening chan struct{}

func (o opening) Enabled(context.Context, slog.Level) bool { return true }
func (o opening) WithAttrs([]slog.Attr) slog.Handler       { return o }
func (o opening) WithGroup(string) slog.Handler            { return o }
func (o opening) Handle(_ context.Context, record slog.Record) error {
	if record.Level >= slog.LevelInfo {
		close(o)
	}
	return nil
}

func writeSecret(ts *testscript.TestScript, name, text string) (path string) {
	path = filepath.Join(ts.Getenv("WORK"), name)
	ts.Check(os.WriteFile(path, []byte(text+"\n"), 0o600))
	return path
}

// writeCertificate writes a certificate for 127.0.0.1 that is its own authority: net/http's.
func writeCertificate(ts *testscript.TestScript) *topology.WebTLS {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	ts.Check(err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return &topology.WebTLS{
		CertFile: writeSecret(ts, "ca.pem", string(cert)),
		KeyFile:  writeSecret(ts, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))),
	}
}

// writeClient writes a client's certificate, which is its own authority, and its key.
func writeClient(ts *testscript.TestScript, name string) (certFile string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	writeSecret(ts, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return writeSecret(ts, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
}

func loopbackPort(ts *testscript.TestScript) netip.AddrPort {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}
