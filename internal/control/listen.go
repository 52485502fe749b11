package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Listener is a controller's Unix socket. Closing it removes the socket, if
// it is still this one.
type Listener struct {
	*net.UnixListener
	path string
	own  os.FileInfo // the socket as we made it
	lock *os.File    // held as long as we listen
}

// Listen makes the socket at path with mode 0660, in a directory that it makes
// if it is missing. group, if not "", is the name of the group that may
// connect. A socket that nobody answers on is replaced; where another
// controller answers, Listen fails.
func Listen(ctx context.Context, path, group string) (*Listener, error) {
	// sun_path has 108 bytes, the last of them NUL.
	if len(path) > 107 {
		return nil, fmt.Errorf("listen on %s: the path has %d characters, a Unix socket's may have 107", path, len(path))
	}
	gid, err := groupID(group)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	lock, err := lockSocket(path)
	if err != nil {
		return nil, err
	}
	l, err := bind(ctx, path, gid)
	if err != nil {
		lock.Close()
		return nil, err
	}
	l.lock = lock
	return l, nil
}

// lockSocket makes sure that we are the only controller that clears away and
// makes this socket. The lock file stays: removing it would let two others
// lock two files of the same name.
func lockSocket(path string) (*os.File, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		lock.Close()
		return nil, inUse(path)
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return lock, nil
}

func inUse(path string) error {
	return fmt.Errorf("another routesteer answers on %s: stop it first", path)
}

// bind makes the socket, closed to all but its owner until group and mode are
// as they should be.
func bind(ctx context.Context, path string, gid int) (*Listener, error) {
	if err := clearStale(ctx, path); err != nil {
		return nil, err
	}
	// The kernel gives the socket's file the mode of the descriptor at bind(2),
	// less the umask (unix_bind_bsd in net/unix/af_unix.c); so there is no moment
	// in which others could connect.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmodErr error
		err := c.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmodErr)
	}}
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	l := &Listener{UnixListener: listener.(*net.UnixListener), path: path}
	if err := l.open(gid); err != nil {
		l.UnixListener.Close()
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	return l, nil
}

// open lets the group in.
func (l *Listener) open(gid int) error {
	if err := os.Lchown(l.path, -1, gid); err != nil {
		return err
	}
	if err := os.Chmod(l.path, 0o660); err != nil {
		return err
	}
	var err error
	l.own, err = os.Lstat(l.path)
	return err
}

// clearStale removes a socket that nobody listens on.
func clearStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on %s: it exists and is not a socket", path)
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return inUse(path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("is %s in use? %w", path, err)
	}
	return os.Remove(path)
}

// groupID returns the number of a group, or -1 for "".
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(group.Gid)
}

// Close stops listening and removes the socket.
func (l *Listener) Close() error {
	defer l.lock.Close()
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.own) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}
