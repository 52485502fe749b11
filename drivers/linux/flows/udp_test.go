package flows

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// wantDestination makes the kernel tell which address a packet came to.
func wantDestination(conn *net.UDPConn) error {
	return errors.Join(setOption(conn, unix.IPPROTO_IP, unix.IP_PKTINFO), setOption(conn, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO))
}

// setOption turns on an option of a socket.
func setOption(conn syscall.Conn, level, option int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, option, 1) })
	return errors.Join(err, failed)
}
