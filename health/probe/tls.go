package probe

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// A tlsConn is a connection and TLS on it.
type tlsConn struct {
	*tls.Conn
	under *conn
}

// dialTLS connects and makes the handshake, within the timeout that began at began.
func (s *sockets) dialTLS(l *leash, a aim, port uint16, began time.Time, timeout time.Duration, config *tls.Config) (*tlsConn, error) {
	under, err := s.dial(l, a, port, began, timeout)
	if err != nil {
		return nil, err
	}
	secure := &tlsConn{Conn: tls.Client(under, config), under: under}
	if err := secure.Handshake(); err != nil {
		err = under.judge(l, err, "TLS handshake")
		l.release(under.file)
		under.end()
		return nil, err
	}
	return secure, nil
}

// leave ends a connection that has served: it tells the server that this is no
// attack.
func (c *tlsConn) leave() {
	_ = c.CloseWrite() // the server may have gone
	c.under.end()
}

// clientConfig is for handshakes with a server whose certificate is to be as the
// file says.
func clientConfig(want topology.Certificate, roots *x509.CertPool, to netip.Addr) *tls.Config {
	name := want.ServerName
	if name == "" {
		name = to.WithZone("").String()
	}
	return &tls.Config{
		ServerName:         name,
		RootCAs:            roots,
		InsecureSkipVerify: want.SkipVerify, // the operator's choice: skip_verify
	}
}

// A tlsCheck makes TLS handshakes with one address.
type tlsCheck struct {
	sockets *sockets
	spec    topology.TLS
	timeout time.Duration
	config  *tls.Config
	last    remark
}

func newTLSCheck(s *sockets, spec topology.TLS, timeout time.Duration, roots *x509.CertPool, to netip.Addr) *tlsCheck {
	return &tlsCheck{sockets: s, spec: spec, timeout: timeout, config: clientConfig(spec.Certificate, roots, to)}
}

func (c *tlsCheck) run(l *leash, a aim) error {
	c.last = remark{}
	began := time.Now()
	secure, err := c.sockets.dialTLS(l, a, c.spec.Port, began, c.timeout, c.config)
	if err != nil {
		return err
	}
	l.release(secure.under.file)
	c.last.notice = expiry(secure.ConnectionState(), began, c.spec.Certificate.MinDays)
	secure.leave()
	return nil
}

func (c *tlsCheck) remark() remark { return c.last }

func (c *tlsCheck) close() {}

// expiry says so if the certificate will be valid for less than so many days.
// It is no failure: the server works, and none of its standbys, which mostly
// have the same certificate, would do better.
func expiry(state tls.ConnectionState, now time.Time, minDays int) string {
	end := validUntil(state.VerifiedChains)
	const day = 24 * time.Hour
	if end.IsZero() || minDays == 0 || end.Sub(now) >= time.Duration(minDays)*day {
		return ""
	}
	return fmt.Sprintf("the certificate of %q ends on %s: renew it", state.ServerName, end.UTC().Format("2006-01-02 15:04 MST"))
}

// validUntil is the end of the chain that holds longest; zero if nothing was
// verified. A chain ends with the first of its certificates.
func validUntil(chains [][]*x509.Certificate) time.Time {
	var longest time.Time
	for _, chain := range chains {
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if first.NotAfter.After(longest) {
			longest = first.NotAfter
		}
	}
	return longest
}
