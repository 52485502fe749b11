package probe

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/routesteer/routesteer/topology"
)

// An httpCheck makes HTTP/1.1 requests to one address (RFC 9112). It follows no
// redirect: a status is all it wants, and that of a redirect is a status.
type httpCheck struct {
	sockets *sockets
	spec    topology.HTTP
	timeout time.Duration
	request []byte
	tls     *tls.Config // nil without TLS

	in       []byte // what was read of the response
	answered bool   // the server sent at least a byte of it
	body     body
	kept     *httpConn // the connection that keep_alive keeps
	keptMark uint32
}

// An httpConn is a connection and the stream on it: itself, or TLS.
type httpConn struct {
	*conn
	stream io.ReadWriter
}

func newHTTPCheck(s *sockets, spec topology.HTTP, timeout time.Duration, to netip.Addr) *httpCheck {
	c := &httpCheck{sockets: s, spec: spec, timeout: timeout, request: renderRequest(spec, to), in: make([]byte, 0, 2<<10)}
	if spec.TLS {
		c.tls = &tls.Config{
			ServerName:         serverName(spec, to),
			InsecureSkipVerify: spec.SkipVerify,
			NextProtos:         []string{"http/1.1"},
		}
	}
	return c
}

// renderRequest writes the request out once: it never changes.
func renderRequest(spec topology.HTTP, to netip.Addr) []byte {
	host := spec.Host
	if host == "" {
		host = defaultHost(spec, to)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", spec.Method, spec.Path, host)
	named := false
	for _, h := range spec.Headers {
		named = named || isName([]byte(h.Name), "user-agent")
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	if !named {
		b.WriteString("User-Agent: routesteer\r\n")
	}
	if !spec.KeepAlive {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// defaultHost is the address in a URL's form; the port only if it is not the
// scheme's own (RFC 9110, section 7.2).
func defaultHost(spec topology.HTTP, to netip.Addr) string {
	host := to.WithZone("").String()
	if to.Is6() {
		host = "[" + host + "]"
	}
	if spec.TLS && spec.Port == 443 || !spec.TLS && spec.Port == 80 {
		return host
	}
	return host + ":" + strconv.Itoa(int(spec.Port))
}

func serverName(spec topology.HTTP, to netip.Addr) string {
	if spec.Host == "" {
		return to.WithZone("").String()
	}
	if name, _, err := net.SplitHostPort(spec.Host); err == nil {
		return name
	}
	return spec.Host
}

// run makes one check. A kept connection that turns out to have been closed is
// the server's right (RFC 9112, section 9.3): then a fresh one decides.
func (c *httpCheck) run(l *leash, a aim) error {
	began := time.Now()
	if kept := c.take(a.mark); kept != nil {
		if err := kept.begin(l, began, c.timeout); err != nil {
			kept.close()
			return err
		}
		if err := c.exchange(kept); err == nil || c.answered || !wasClosed(err) {
			return err
		}
	}
	plain, err := c.sockets.dial(l, a, c.spec.Port, began, c.timeout, false)
	if err != nil {
		return err
	}
	fresh := &httpConn{conn: plain, stream: plain}
	if c.tls != nil {
		if err := c.secure(fresh); err != nil {
			fresh.close()
			return err
		}
	}
	c.keptMark = a.mark
	return c.exchange(fresh)
}

// take gives the kept connection away, if it goes the way that is wanted now.
func (c *httpCheck) take(mark uint32) *httpConn {
	kept := c.kept
	c.kept = nil
	if kept != nil && c.keptMark != mark {
		kept.close()
		return nil
	}
	return kept
}

// wasClosed reports whether the server closed the connection instead of
// answering.
func wasClosed(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.cause != nil && !noPath(err) && !isTimeout(err)
}

// secure makes the TLS handshake.
func (c *httpCheck) secure(h *httpConn) error {
	if err := h.waitConnected(); err != nil {
		return err
	}
	stream := tls.Client(streamConn{h.conn}, c.tls)
	if err := stream.Handshake(); err != nil {
		return h.judge(err, "TLS handshake")
	}
	h.stream = stream
	return nil
}

// exchange sends the request, judges the response, and closes or keeps the
// connection.
func (c *httpCheck) exchange(h *httpConn) error {
	reusable, err := c.ask(h)
	if err == nil && reusable && c.spec.KeepAlive {
		h.rest()
		c.kept = h
		return nil
	}
	h.close()
	return err
}

// ask sends the request and judges the response. reusable says whether another
// request may follow on the connection.
func (c *httpCheck) ask(h *httpConn) (reusable bool, err error) {
	c.in, c.answered = c.in[:0], false
	if _, err := h.stream.Write(c.request); err != nil {
		return false, h.judge(err, h.writing())
	}
	head, rest, err := c.readHead(h)
	if err != nil {
		return false, err
	}
	if !statusWanted(head.status, c.spec.Status) {
		return false, failf("status %d, want %s", head.status, statusWords(c.spec.Status))
	}
	if c.spec.Body == "" && !c.spec.KeepAlive {
		return false, nil
	}
	return c.readBody(h, head, rest)
}

// readHead reads up to the end of the final response's head and returns the
// bytes that came after it.
func (c *httpCheck) readHead(h *httpConn) (head, []byte, error) {
	seen, start := 0, 0 // within c.in: what parseHead has seen, and where a head begins
	for {
		if len(c.in) > seen {
			parsed, n, err := parseHead(c.in[start:], seen-start)
			seen = len(c.in)
			if err != nil {
				return head{}, nil, err
			}
			if n > 0 && (parsed.status >= 200 || parsed.status == 101) {
				return parsed, c.in[start+n:], nil
			}
			if n > 0 { // interim, such as 103: the final one follows
				start += n
				seen = start
				continue
			}
		}
		if len(c.in) >= 2*maxHead {
			return head{}, nil, failf("malformed response: no end of interim responses")
		}
		if err := c.readMore(h); err != nil {
			return head{}, nil, h.judge(err, c.reading())
		}
	}
}

func (c *httpCheck) reading() string {
	if !c.answered {
		return "waiting for the response"
	}
	return "reading the response"
}

// readMore appends what comes next to c.in, which grows as needed.
func (c *httpCheck) readMore(h *httpConn) error {
	if len(c.in) == cap(c.in) {
		c.in = append(c.in, make([]byte, len(c.in))...)[:len(c.in)]
	}
	n, err := h.stream.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		c.answered = true
		return nil
	}
	return err
}

// readBody reads the body until its text is found or it ends.
func (c *httpCheck) readBody(h *httpConn, head head, rest []byte) (reusable bool, err error) {
	c.body.reset(head, c.spec.Method)
	want := []byte(c.spec.Body)
	searched := 0
	found := len(want) == 0
	for {
		if !c.body.done {
			if err := c.body.feed(rest); err != nil {
				return false, err
			}
		}
		if !found {
			found = bytes.Contains(c.body.data[max(searched-len(want)+1, 0):], want)
			searched = len(c.body.data)
		}
		if c.body.done || found && !c.spec.KeepAlive {
			break
		}
		c.in = c.in[:0]
		err := c.readMore(h)
		if errors.Is(err, io.EOF) && head.untilClose() {
			break
		}
		if err != nil {
			return false, h.judge(err, "reading the body")
		}
		rest = c.in
	}
	if !found {
		return false, failf("body lacks %q", c.spec.Body)
	}
	return !head.close && !head.untilClose() && c.body.done && !c.body.cropped, nil
}

func (c *httpCheck) close() {
	if c.kept != nil {
		c.kept.close()
		c.kept = nil
	}
}

func statusWanted(status int, ranges []topology.StatusRange) bool {
	for _, r := range ranges {
		if r.First <= status && status <= r.Last {
			return true
		}
	}
	return false
}

// statusWords is "200-399" or "200, 301-302".
func statusWords(ranges []topology.StatusRange) string {
	var b []byte
	for i, r := range ranges {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(b, int64(r.First), 10)
		if r.Last != r.First {
			b = strconv.AppendInt(append(b, '-'), int64(r.Last), 10)
		}
	}
	return string(b)
}

// A streamConn is a conn as crypto/tls wants it.
type streamConn struct{ *conn }

func (c streamConn) Close() error                       { return nil } // httpConn closes
func (c streamConn) LocalAddr() net.Addr                { return nil }
func (c streamConn) RemoteAddr() net.Addr               { return nil }
func (c streamConn) SetDeadline(t time.Time) error      { return c.file.SetDeadline(t) }
func (c streamConn) SetReadDeadline(t time.Time) error  { return c.file.SetReadDeadline(t) }
func (c streamConn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }
