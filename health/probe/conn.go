package probe

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An aim is where a check's packets go: to an address, by a mark. Mark 0 means
// the machine's ordinary routes.
type aim struct {
	to   netip.Addr
	mark uint32
}

// A conn is a thin TCP connection with one deadline for all that happens on it.
// Next to net.Dialer it saves name resolution, keep-alive and no-delay options,
// and waits for the handshake in the first write. One goroutine uses it.
type conn struct {
	file    *os.File
	fd      int // file's; valid until close
	leash   *leash
	timeout time.Duration

	began     time.Time // when the check began
	deadline  time.Time // began + timeout
	connected time.Time // when the handshake was seen to be done; zero until then
	closed    bool      // the server has closed its side
}

// dial starts a connection and returns before the handshake is done. The check
// that it serves began at began. quiet delays the handshake's last packet, so
// that a connection without data can be ended before the server's process
// hears of it.
func (s *sockets) dial(l *leash, a aim, port uint16, began time.Time, timeout time.Duration, quiet bool) (*conn, error) {
	fd, err := s.connect(a, port, quiet)
	if err != nil {
		return nil, inWords(err, "connecting")
	}
	c := &conn{file: os.NewFile(uintptr(fd), "check"), fd: fd}
	if err := c.begin(l, began, timeout); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// connect opens a TCP socket and sends its SYN.
func (s *sockets) connect(a aim, port uint16, quiet bool) (int, error) {
	domain, peer := sockaddr(a.to, port)
	fd, err := s.open(domain, unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	if a.mark != 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(a.mark))
	}
	if err == nil && quiet {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
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

// begin starts a check on the connection, a new one or one that was kept.
func (c *conn) begin(l *leash, began time.Time, timeout time.Duration) error {
	c.leash, c.began, c.timeout, c.deadline = l, began, timeout, began.Add(timeout)
	if err := c.file.SetDeadline(c.deadline); err != nil {
		return inWords(err, "setting the deadline")
	}
	if !l.hold(c.file) {
		return errCut
	}
	return nil
}

// rest ends a check but keeps the connection.
func (c *conn) rest() { c.leash.release(c.file) }

// close ends the connection. Unless the server closed first, it is reset: an
// orderly close from our side would hold the port for a minute (TIME_WAIT), and
// 5,000 checks a second use up 28,000 ports in six.
func (c *conn) close() {
	c.leash.release(c.file)
	if !c.closed && !c.lookForEOF() {
		c.abandon()
	}
	_ = c.file.Close() // nothing is left to be written
}

// abandon makes the coming close send a reset and forget the connection.
func (c *conn) abandon() {
	linger := unix.Linger{Onoff: 1}
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &linger) // without it: TIME_WAIT, no harm
}

// lookForEOF reports whether the server's close has already arrived.
func (c *conn) lookForEOF() bool {
	if c.connected.IsZero() {
		return false
	}
	var one [1]byte
	n, _, err := unix.Recvfrom(c.fd, one[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
	return n == 0 && err == nil
}

// Write sends b, once connected. Requests are small: a write that has to wait
// waits for the handshake.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.file.Write(b)
	if err != nil {
		return n, c.judge(err, c.writing())
	}
	if c.connected.IsZero() {
		c.connected = time.Now()
	}
	return n, nil
}

func (c *conn) writing() string {
	if c.connected.IsZero() {
		return "connecting"
	}
	return "sending the request"
}

// Read reads what has arrived. When the time is up it looks once more, for
// bytes that came while this process was not running.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.file.Read(b)
	if isTimeout(err) && !c.leash.broken() {
		n, err = c.lastLook(b, err)
	}
	if err != nil && n == 0 {
		c.closed = c.closed || !isTimeout(err)
	}
	return n, err
}

// lastLook reads without waiting; with nothing there it returns the timeout.
func (c *conn) lastLook(b []byte, timeout error) (int, error) {
	n, _, err := unix.Recvfrom(c.fd, b, unix.MSG_DONTWAIT)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, timeout
	case err != nil:
		return 0, err
	default:
		return 0, io.EOF
	}
}

// waitConnected waits for the handshake and sends nothing.
func (c *conn) waitConnected() error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return inWords(err, "connecting")
	}
	var failed error
	err = raw.Write(func(uintptr) bool {
		var done bool
		done, failed = c.handshake()
		return done
	})
	if isTimeout(err) && !c.leash.broken() {
		if done, late := c.handshake(); done { // it came while this process was not running
			err, failed = nil, late
		}
	}
	if err = errors.Join(err, failed); err != nil {
		return c.judge(err, "connecting")
	}
	c.connected = time.Now()
	return nil
}

// handshake asks the kernel how far the connection has come.
func (c *conn) handshake() (done bool, err error) {
	errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return true, err
	}
	if errno != 0 {
		return true, syscall.Errno(errno)
	}
	_, err = unix.Getpeername(c.fd)
	if errors.Is(err, unix.ENOTCONN) {
		return false, nil
	}
	return true, err
}

// judge turns an I/O error into the check's outcome.
func (c *conn) judge(err error, during string) error {
	if !isTimeout(err) {
		return inWords(err, during)
	}
	if c.leash.broken() {
		return errCut
	}
	return timedOut(c.timeout, during, c.stalled(time.Now()))
}

// stalled reports whether this machine, not the server, used up the time: the
// timer fired late, or the handshake was done long before we were let run to
// see it.
func (c *conn) stalled(now time.Time) bool {
	tolerance := tolerance(c.timeout)
	if now.Sub(c.deadline) > tolerance {
		return true
	}
	info, err := unix.GetsockoptTCPInfo(c.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State == unix.BPF_TCP_SYN_SENT || info.Rtt == 0 {
		return false
	}
	seen := c.connected
	if seen.IsZero() {
		seen = now
	}
	return seen.Sub(c.began)-time.Duration(info.Rtt)*time.Microsecond > tolerance
}

// tolerance is how late this process may be without making a timeout void.
func tolerance(timeout time.Duration) time.Duration {
	return max(timeout/5, 20*time.Millisecond)
}
