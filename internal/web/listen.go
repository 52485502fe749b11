package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// Limits that keep us from being held or filled by the other side.
const (
	maxConnections = 1024 // in all
	maxOfAddress   = 128  // of them from one address that is not loopback, where a proxy may be
	maxStreams     = 64   // requests at a time in one HTTP/2 connection
	maxHeader      = 16 << 10

	headerTimeout = 5 * time.Second // a request's header arrives within it, and the TLS handshake
	idleTimeout   = time.Minute
	leaveTimeout  = 3 * time.Second // for requests in progress when a listener closes
)

// A place is what needs a new listener when it changes.
type place struct {
	listen netip.AddrPort
	tls    bool
}

func placeOf(web topology.Web) place { return place{web.Listen, web.TLS != nil} }

// A listening is one open listener and its server.
type listening struct {
	place    place
	listener net.Listener
	server   *http.Server
	served   chan struct{} // closed when Serve has returned
}

// listen opens a place and serves what h answers there.
func listen(ctx context.Context, place place, h *handler, log *slog.Logger) (*listening, error) {
	var config net.ListenConfig
	inner, err := config.Listen(ctx, "tcp", place.listen.String())
	if err != nil {
		return nil, listenError(place, err)
	}
	l := &listening{place: place, listener: newCrowd(inner), served: make(chan struct{})}
	streams, endStreams := context.WithCancel(context.Background())
	l.server = &http.Server{
		Handler:           h.at(place, streams),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			NextProtos: []string{"h2", "http/1.1"},
			// For who sends no handshake of ours, and to have no file named.
			GetCertificate:     func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("no certificate") },
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return h.keys.Load().tls, nil },
		},
		// What net/http has to say is a panic in a handler, or a peer's nonsense, as
		// scanners send it all day.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	l.server.RegisterOnShutdown(endStreams)
	go func() {
		defer close(l.served)
		defer endStreams()
		_ = l.serve() // always http.ErrServerClosed, or the listener's end, which is ours
	}()
	return l, nil
}

func (l *listening) serve() error {
	if l.place.tls {
		return l.server.ServeTLS(l.listener, "", "")
	}
	return l.server.Serve(l.listener)
}

// listenError says what an operator can do.
func listenError(place place, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: another program does (ss -ltnp shows which): stop it, or change http.listen and reload; it is tried again", place.listen)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s: this machine has no such address; it is tried again", place.listen)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen on %s: not permitted: ports below 1024 need CAP_NET_BIND_SERVICE, choose a higher one", place.listen)
	default:
		return fmt.Errorf("listen on %s: %w; it is tried again", place.listen, err)
	}
}

// stop accepts no more connections, at once: another may want the port.
func (l *listening) stop() { _ = l.listener.Close() }

// drain lets requests in progress end, for a short while.
func (l *listening) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if l.server.Shutdown(ctx) != nil {
		_ = l.server.Close() // who is left is cut
	}
	<-l.served
}

// A crowd is a listener that hangs up on whoever is too many.
type crowd struct {
	net.Listener

	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

func newCrowd(inner net.Listener) *crowd { return &crowd{Listener: inner, from: map[netip.Addr]int{}} }

// Accept returns the next connection that there is room for.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := remoteAddress(conn.RemoteAddr().String())
		if c.enter(address) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { c.leave(address) })}, nil
		}
		_ = conn.Close()
	}
}

func (c *crowd) enter(address netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= maxConnections || c.from[address] >= maxOfAddress && !address.IsLoopback() {
		return false
	}
	c.all++
	c.from[address]++
	return true
}

func (c *crowd) leave(address netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.from[address]--; c.from[address] == 0 {
		delete(c.from, address)
	}
}

// A guest is a connection that is counted.
type guest struct {
	net.Conn
	leave func()
}

// Close closes the connection and makes room.
func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}

// remoteAddress is where a connection comes from: of IPv6 the network, because a
// host has a whole one to itself. The zero Addr if that is not known.
func remoteAddress(text string) netip.Addr {
	from, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	address := from.Addr().Unmap().WithZone("")
	if address.Is6() && !address.IsLoopback() {
		return netip.PrefixFrom(address, 64).Masked().Addr()
	}
	return address
}
