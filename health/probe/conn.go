package probe

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An aim is where a check's packets go: to an address, by a mark that leads to
// an address of the server. Mark 0 means the machine's ordinary routes.
type aim struct {
	to   netip.Addr
	mark uint32
	by   netip.Addr // of the server; the same as to without a mark
}

// connect opens a TCP socket and sends its SYN; it does not wait. quiet delays
// the handshake's last packet, so that a connection without data can be ended
// before the server's process hears of it.
func (s *sockets) connect(a aim, port uint16, quiet bool) (int, error) {
	return s.connectBy(unix.SOCK_STREAM, a, port, func(fd int) error {
		if !quiet {
			return nil
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
	})
}

// connectBy opens a socket of a kind, and connects it once prepared; it does not wait.
func (s *sockets) connectBy(kind int, a aim, port uint16, prepare func(fd int) error) (int, error) {
	domain, peer := sockaddr(a.to, port)
	fd, err := s.open(domain, kind, 0)
	if err != nil {
		return -1, err
	}
	if a.mark != 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(a.mark))
	}
	if err == nil {
		err = prepare(fd)
	}
	if err == nil {
		err = unix.Connect(fd, peer)
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd) // nothing was sent: the first error matters
		return -1, err
	}
	return fd, nil
}

func sockaddr(to netip.Addr, port uint16) (domain int, peer unix.Sockaddr) {
	if to.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(port), Addr: to.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(port), Addr: to.As16(), ZoneId: zone(to)}
}

// zone is the interface index of a link-local address, 0 for others.
func zone(to netip.Addr) uint32 {
	if to.Zone() == "" {
		return 0
	}
	link, err := net.InterfaceByName(to.Zone())
	if err != nil {
		return 0 // the kernel refuses the address then, and says so
	}
	return uint32(link.Index)
}

// A conn is a TCP connection, or a UDP socket, for a check that waits in a goroutine of its own,
// with one deadline for all that happens on it. It is a net.Conn as far as
// crypto/tls needs one. One goroutine uses it.
type conn struct {
	file      *os.File
	fd        int // file's
	timeout   time.Duration
	began     time.Time
	connected time.Time // when the handshake was seen to be done
}

// dial connects, within the timeout that began at began.
func (s *sockets) dial(l *leash, a aim, port uint16, began time.Time, timeout time.Duration) (*conn, error) {
	fd, err := s.connect(a, port, false)
	if err != nil {
		return nil, inWords(err, whileConnecting)
	}
	c := &conn{file: os.NewFile(uintptr(fd), "check"), fd: fd}
	err = c.begin(l, began, timeout)
	if err == nil {
		err = c.wait()
	}
	if err != nil {
		l.release(c.file)
		c.end()
		return nil, c.judge(l, err, whileConnecting)
	}
	c.connected = time.Now()
	return c, nil
}

// dialUDP makes a socket that speaks to one port by UDP and hears of nobody else;
// what the network says to it, such as that nobody listens there, are its errors.
func (s *sockets) dialUDP(l *leash, a aim, port uint16, began time.Time, timeout time.Duration) (*conn, error) {
	fd, err := s.connectBy(unix.SOCK_DGRAM, a, port, func(int) error { return nil })
	if err != nil {
		return nil, inWords(err, awaitingAnswer)
	}
	c := &conn{file: os.NewFile(uintptr(fd), "check"), fd: fd, connected: time.Now()}
	if err := c.begin(l, began, timeout); err != nil {
		l.release(c.file)
		c.end()
		return nil, c.judge(l, err, awaitingAnswer)
	}
	return c, nil
}

// begin starts a check on a connection, a new one or one that was kept.
func (c *conn) begin(l *leash, began time.Time, timeout time.Duration) error {
	c.began, c.timeout = began, timeout
	if err := c.file.SetDeadline(began.Add(timeout)); err != nil {
		return err
	}
	if !l.hold(c.file) {
		return errCut
	}
	return nil
}

// wait waits for the handshake.
func (c *conn) wait() error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(uintptr) bool {
		var done bool
		done, failed = handshake(c.fd)
		return done
	})
	return errors.Join(err, failed)
}

// end closes the connection, by a reset as loop.close does.
func (c *conn) end() {
	reset(c.fd)
	_ = c.file.Close() // nothing is left to be written
}

// judge turns an I/O error into the check's outcome.
func (c *conn) judge(l *leash, err error, during string) error {
	switch {
	case !isTimeout(err):
		return inWords(err, during)
	case l.broken():
		return errCut
	case c.connected.IsZero():
		return timedOut(c.timeout, during, time.Since(c.began.Add(c.timeout)) > tolerance(c.timeout))
	default:
		return timedOut(c.timeout, during, stalled(c.fd, c.began, c.connected, time.Now(), c.timeout))
	}
}

// Read reads. When the time is up it looks once more, for bytes that came while
// this process was not running.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.file.Read(b)
	if !isTimeout(err) {
		return n, err
	}
	if late, _, lookErr := unix.Recvfrom(c.fd, b, unix.MSG_DONTWAIT); lookErr == nil && late > 0 {
		return late, nil
	}
	return 0, err
}

func (c *conn) Write(b []byte) (int, error)        { return c.file.Write(b) }
func (c *conn) Close() error                       { return nil } // end closes
func (c *conn) LocalAddr() net.Addr                { return nil }
func (c *conn) RemoteAddr() net.Addr               { return nil }
func (c *conn) SetDeadline(t time.Time) error      { return c.file.SetDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.file.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }
