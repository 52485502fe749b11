package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/routesteer/routesteer/topology"
)

// Limits of what a server may answer: a verdict has two bytes.
const (
	maxGRPCMessage = 4 << 10
	maxGRPCHeaders = 16 << 10
)

// A grpcCheck calls the health service of one server, each time on a connection
// of its own. The connection and TLS are made before the library gets them, so
// that what fails there is told as by any other check.
type grpcCheck struct {
	sockets *sockets
	spec    topology.GRPC
	timeout time.Duration
	config  *tls.Config // nil: plain text
	last    remark
}

func newGRPCCheck(s *sockets, spec topology.GRPC, timeout time.Duration, roots *x509.CertPool, to netip.Addr) *grpcCheck {
	c := &grpcCheck{sockets: s, spec: spec, timeout: timeout}
	if spec.TLS != nil {
		c.config = clientConfig(*spec.TLS, roots, to)
		c.config.NextProtos = []string{"h2"}
	}
	return c
}

func (c *grpcCheck) run(l *leash, a aim) error {
	c.last = remark{}
	began := time.Now()
	under, err := c.sockets.dial(l, a, c.spec.Port, began, c.timeout)
	if err != nil {
		return err
	}
	defer func() {
		l.release(under.file)
		under.end()
	}()
	w := wire{under, net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.to, c.spec.Port))}
	if c.config == nil {
		return c.call(l, w, w, insecure.NewCredentials())
	}
	secure := tls.Client(w, c.config)
	if err := secure.Handshake(); err != nil {
		return under.judge(l, err, "TLS handshake")
	}
	state := secure.ConnectionState()
	if state.NegotiatedProtocol != "h2" {
		return failf("the server does not offer HTTP/2 over TLS (ALPN)")
	}
	c.last.notice = expiry(state, began, c.spec.TLS.MinDays)
	return c.call(l, w, secure, greeted{state})
}

// call makes the call on a connection, which is w or goes by it.
func (c *grpcCheck) call(l *leash, w wire, connection net.Conn, greeting credentials.TransportCredentials) error {
	deadline := w.began.Add(w.timeout)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	client, err := c.client(w, connection, greeting)
	if err != nil {
		return failf("gRPC: %v", err)
	}
	defer client.Close()
	answer, err := grpc_health_v1.NewHealthClient(client).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: c.spec.Service})
	switch {
	case err == nil && answer.Status == grpc_health_v1.HealthCheckResponse_SERVING:
		return nil
	case err == nil:
		return failf("status %s", answer.Status)
	case l.broken():
		return errCut
	case !time.Now().Before(deadline): // of ctx or of the connection, whichever was noticed first
		return w.judge(l, os.ErrDeadlineExceeded, "waiting for the response")
	default:
		return failf("%s", c.refusal(status.Convert(err)))
	}
}

// client makes a client that uses the connection, once: it does not connect
// again, nor anywhere else.
func (c *grpcCheck) client(w wire, connection net.Conn, greeting credentials.TransportCredentials) (*grpc.ClientConn, error) {
	handed := make(chan net.Conn, 1)
	handed <- connection
	return grpc.NewClient("passthrough:///"+w.remote.String(),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case connection := <-handed:
				return connection, nil
			default:
				return nil, errors.New("a check has one connection")
			}
		}),
		grpc.WithTransportCredentials(greeting), grpc.WithAuthority(c.authority(w)), grpc.WithUserAgent("routesteer"),
		grpc.WithNoProxy(), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithDisableHealthCheck(),
		grpc.WithMaxHeaderListSize(maxGRPCHeaders), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxGRPCMessage)),
	)
}

// authority is whom the call is addressed to.
func (c *grpcCheck) authority(w wire) string {
	if c.spec.TLS != nil && c.spec.TLS.ServerName != "" {
		return c.spec.TLS.ServerName
	}
	return w.remote.String()
}

// refusal is an answer that is no verdict, in an operator's words.
func (c *grpcCheck) refusal(s *status.Status) string {
	switch s.Code() {
	case codes.Unimplemented:
		return "the server has no health service (grpc.health.v1)"
	case codes.NotFound:
		return "the server's health service does not know service " + c.spec.Service
	default:
		return fmt.Sprintf("%s: %.200q", s.Code(), s.Message())
	}
}

func (c *grpcCheck) remark() remark { return c.last }

func (c *grpcCheck) close() {}

// A wire is a conn for a library whose goroutines may use it for a moment longer
// than the check lasts: they never see its file descriptor.
type wire struct {
	*conn
	remote *net.TCPAddr
}

func (w wire) Read(b []byte) (int, error) { return w.file.Read(b) }

// Close ends what waits; the check closes.
func (w wire) Close() error         { return w.file.SetDeadline(time.Unix(1, 0)) }
func (w wire) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (w wire) RemoteAddr() net.Addr { return w.remote }

// greeted are the credentials of a connection whose TLS handshake has been made.
type greeted struct{ state tls.ConnectionState }

func (g greeted) ClientHandshake(_ context.Context, _ string, connection net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return connection, credentials.TLSInfo{
		State: g.state, CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

func (g greeted) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("a check is no server")
}

func (g greeted) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (g greeted) Clone() credentials.TransportCredentials { return g }
func (g greeted) OverrideServerName(string) error         { return nil }
