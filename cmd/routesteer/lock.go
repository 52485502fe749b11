package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// controllerLock is an abstract Unix socket. Its name belongs to the network
// namespace, as the routes and marks do that two controllers would fight for,
// whatever their sockets and files are; and it goes with the process, however
// that ends. See unix(7).
const controllerLock = "@routesteer-controller"

// lockNamespace makes this the only controller of the network namespace until
// the lock is closed. Nobody is answered on it.
func lockNamespace(name string) (io.Closer, error) {
	lock, err := net.Listen("unix", name)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another routesteer controller runs in this network namespace%s: stop it first", holder(name))
	}
	if err != nil {
		return nil, fmt.Errorf("lock the network namespace: %w", err)
	}
	return lock, nil
}

// holder names the process that has the lock: " (pid 42)", or "" if that
// cannot be learnt, as of one in another PID namespace.
func holder(name string) string {
	conn, err := net.Dial("unix", name)
	if err != nil {
		return ""
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return ""
	}
	pid := int32(0)
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = cred.Pid
		}
	})
	if err != nil || pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}
