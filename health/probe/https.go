package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// An httpsCheck makes HTTP requests over TLS to one address. The certificate is
// verified for server_name, or the Host, or the address.
type httpsCheck struct {
	sockets *sockets
	port    uint16
	minDays int
	timeout time.Duration
	config  *tls.Config
	request []byte
	reply   *reply
	in      []byte

	kept    *tlsConn // what keep_alive keeps
	keptAim aim
	last    remark
}

func newHTTPSCheck(s *sockets, spec topology.HTTP, timeout time.Duration, roots *x509.CertPool, to netip.Addr) *httpsCheck {
	certificate := spec.Certificate
	if certificate.ServerName == "" {
		certificate.ServerName = serverName(spec, to)
	}
	config := clientConfig(certificate, roots, to)
	config.NextProtos = []string{"http/1.1"}
	return &httpsCheck{
		sockets: s, port: spec.Port, minDays: certificate.MinDays, timeout: timeout, config: config,
		request: renderRequest(spec, to), reply: newReply(spec), in: make([]byte, 4<<10),
	}
}

func (c *httpsCheck) remark() remark { return c.last }

func (c *httpsCheck) run(l *leash, a aim) error {
	began := time.Now()
	c.last = remark{}
	if kept := c.take(a); kept != nil {
		err := kept.under.begin(l, began, c.timeout)
		if err == nil {
			err = c.exchange(l, kept)
		}
		// See plain.closed for why it is tried again.
		if err == nil || errors.Is(err, errCut) || c.reply.answered || !wasClosed(err) {
			return c.settle(l, kept, a, err)
		}
		_ = c.settle(l, kept, a, err)
	}
	fresh, err := c.sockets.dialTLS(l, a, c.port, began, c.timeout, c.config)
	if err != nil {
		return err
	}
	return c.settle(l, fresh, a, c.exchange(l, fresh))
}

// take gives the kept connection away, if it goes the way that is wanted now.
func (c *httpsCheck) take(a aim) *tlsConn {
	kept := c.kept
	c.kept = nil
	if kept != nil && c.keptAim != a {
		kept.under.end()
		return nil
	}
	return kept
}

// wasClosed reports whether a check failed by the connection, not by time.
func wasClosed(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.cause != nil
}

// exchange sends the request and judges the response.
func (c *httpsCheck) exchange(l *leash, s *tlsConn) error {
	c.reply.reset()
	if _, err := s.Write(c.request); err != nil {
		return s.under.judge(l, err, "sending the request")
	}
	for {
		n, err := s.Read(c.in)
		if n > 0 {
			done, failure := c.reply.feed(c.in[:n])
			if done || failure != nil {
				return failure
			}
		}
		if errors.Is(err, io.EOF) {
			if closed, failure := c.reply.eof(); !closed {
				return failure
			}
		}
		if err != nil {
			return s.under.judge(l, err, c.reply.waitingFor())
		}
	}
}

// settle keeps or closes the connection after a check, and returns its outcome.
func (c *httpsCheck) settle(l *leash, s *tlsConn, a aim, err error) error {
	l.release(s.under.file)
	if err == nil {
		c.last.notice = expiry(s.ConnectionState(), time.Now(), c.minDays)
	}
	if err == nil && c.reply.reusable() {
		c.kept, c.keptAim = s, a
		return nil
	}
	if err == nil {
		s.leave()
		return nil
	}
	s.under.end()
	return err
}

func (c *httpsCheck) close() {
	if c.kept != nil {
		c.kept.under.end()
		c.kept = nil
	}
}
