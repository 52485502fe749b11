package probe

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	health_server "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/routesteer/routesteer/health"
	"github.com/routesteer/routesteer/topology"
)

// serveGRPC runs a gRPC server on a port of the first server, with a health
// service unless it is nil.
func (l *lan) serveGRPC(address string, verdicts grpc_health_v1.HealthServer, options ...grpc.ServerOption) {
	l.t.Helper()
	server := grpc.NewServer(options...)
	if verdicts != nil {
		grpc_health_v1.RegisterHealthServer(server, verdicts)
	}
	listener := l.listen(l.servers[0], address)
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(listener) }) // ends by Stop
	l.t.Cleanup(func() {
		server.Stop()
		done.Wait()
	})
}

// A stubborn health service answers with what no good one does.
type stubborn struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (stubborn) Check(ctx context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	switch request.Service {
	case "hangs":
		<-ctx.Done()
		return nil, ctx.Err()
	case "panics":
		return nil, status.Error(codes.Internal, "a\x1b[31m"+strings.Repeat("x", 9000))
	default:
		return &grpc_health_v1.HealthCheckResponse{Status: 77}, nil
	}
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	ca := newAuthority(t)
	config := func(holds time.Duration, protocols ...string) *tls.Config {
		certFile, keyFile := ca.issue("shop.example.com", holds)
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols}
	}
	const day = 24 * time.Hour
	verdicts := health_server.NewServer()
	verdicts.SetServingStatus("shop.v1.Cart", grpc_health_v1.HealthCheckResponse_SERVING)
	verdicts.SetServingStatus("shop.v1.Stock", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	l.serveGRPC(":1", verdicts)
	l.serveGRPC(":2", verdicts, grpc.Creds(credentials.NewTLS(config(30*day))))
	l.serveGRPC(":3", verdicts, grpc.Creds(credentials.NewTLS(config(3*day))))
	l.serveGRPC(":4", nil)
	l.serveGRPC(":5", stubborn{})
	l.accept(l.servers[0], 6, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	release := make(chan struct{})
	l.accept(l.servers[0], 7, func(net.Conn) { <-release })
	defer close(release)
	web1 := config(30*day, "http/1.1")
	l.accept(l.servers[0], 8, func(c net.Conn) { _ = tls.Server(c, web1).Handshake() })

	ours := &topology.Certificate{ServerName: "shop.example.com", CAFile: ca.file, MinDays: 7}
	r := l.prober()
	for _, c := range []struct {
		name            string
		ask             topology.GRPC
		failure, notice string
	}{
		{"the server", topology.GRPC{Port: 1}, "", ""},
		{"a service that is well", topology.GRPC{Port: 1, Service: "shop.v1.Cart"}, "", ""},
		{"a service that is not", topology.GRPC{Port: 1, Service: "shop.v1.Stock"}, "status NOT_SERVING", ""},
		{"no such service", topology.GRPC{Port: 1, Service: "shop"}, "the server's health service does not know service shop", ""},
		{"TLS", topology.GRPC{Port: 2, TLS: ours}, "", ""},
		{"a certificate that ends soon", topology.GRPC{Port: 3, TLS: ours}, "", `the certificate of "shop.example.com" ends on `},
		{"TLS of an unknown authority", topology.GRPC{Port: 2, TLS: &topology.Certificate{ServerName: "shop.example.com"}}, "x509: certificate signed by unknown authority", ""},
		{"TLS of anybody", topology.GRPC{Port: 2, TLS: &topology.Certificate{SkipVerify: true}}, "", ""},
		{"plain text to TLS", topology.GRPC{Port: 2}, "Unavailable: ", ""},
		{"TLS to plain text", topology.GRPC{Port: 1, TLS: ours}, "first record does not look like a TLS handshake (TLS handshake)", ""},
		{"no health service", topology.GRPC{Port: 4}, "the server has no health service (grpc.health.v1)", ""},
		{"an unknown verdict", topology.GRPC{Port: 5}, "status 77", ""},
		{"it hangs", topology.GRPC{Port: 5, Service: "hangs"}, "timeout after 1s (waiting for the response)", ""},
		{"an error that is long and coloured", topology.GRPC{Port: 5, Service: "panics"}, `Internal: "a\x1b[31mxxx`, ""},
		{"HTTP/1", topology.GRPC{Port: 6}, "Unavailable: ", ""},
		{"silence", topology.GRPC{Port: 7}, "timeout after 1s (waiting for the response)", ""},
		{"silence where TLS should be", topology.GRPC{Port: 7, TLS: ours}, "timeout after 1s (TLS handshake)", ""},
		{"a web server", topology.GRPC{Port: 8, TLS: ours}, "no application protocol", ""},
		{"nobody listens", topology.GRPC{Port: 9}, "connection refused", ""},
	} {
		check := unhurried(topology.Check{GRPC: &c.ask})
		if strings.HasPrefix(c.failure, "timeout") {
			check.Timeout = timeout
		}
		r.set(l.site(check))
		for _, target := range []health.Target{web(1, vip4), web(1, vip6)} {
			began := time.Now()
			got := r.checkOnce(t.Context(), target)
			if !strings.Contains(got.Failure, c.failure) || (got.Failure == "") != (c.failure == "") || len(got.Failure) > 400 {
				t.Errorf("%s, %s: failure %q, want %q", c.name, target.VIP, got.Failure, c.failure)
			}
			if !strings.HasPrefix(got.Notice, c.notice) || (got.Notice == "") != (c.notice == "") {
				t.Errorf("%s, %s: notice %q, want %q", c.name, target.VIP, got.Notice, c.notice)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("%s, %s: took %s with a timeout of %s", c.name, target.VIP, took, check.Timeout)
			}
		}
	}
}

// TestAGRPCCheckThatIsBrokenOffEndsAtOnce holds what a burst of checks needs.
func TestAGRPCCheckThatIsBrokenOffEndsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 1)
	l.serveGRPC(":1", stubborn{})
	r := l.prober()
	check := manual(topology.Check{GRPC: &topology.GRPC{Port: 1, Service: "hangs"}})
	check.Timeout = never
	r.set(l.site(check))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	got := r.Check(ctx, []health.Target{web(1, vip4)})[0]
	if took := time.Since(began); !strings.HasPrefix(got.Failure, "check broken off") || took > patience/2 {
		t.Errorf("after %s: %q", took, got.Failure)
	}
}
