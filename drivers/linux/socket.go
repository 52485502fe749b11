package linux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A dump comes in datagrams of at most 32 KiB, a notification in one of its
	// own; the longest route, of 256 IPv6 next hops, takes 12 KiB.
	receiveSize = 64 << 10
	// So many messages go out in one system call. Were the kernel to refuse them
	// all, its answers (about 1.3 kB of buffer each) would still fit the smallest
	// usual receive buffer, 208 KiB.
	batchCount = 128
	batchBytes = 64 << 10
	// A dump that the kernel marks as interrupted by a change is repeated so
	// often. Where the table never rests, the last one has to do.
	dumpTries = 4
)

// An opener runs the making of a socket in some network namespace.
type opener func(socket func() error) error

func here(socket func() error) error { return socket() }

// inNamespace lends a thread to the namespace: a socket stays in the one it
// was made in.
func inNamespace(ns int) opener {
	return func(socket func() error) error {
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			runtime.UnlockOSThread()
			return fmt.Errorf("open this thread's network namespace: %w", err)
		}
		defer unix.Close(home)
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			return fmt.Errorf("enter the network namespace (needs CAP_SYS_ADMIN): %w", err)
		}
		err = socket()
		if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
			// The thread stays locked: it must run no other goroutine.
			return errors.Join(err, fmt.Errorf("return from the network namespace: %w", back))
		}
		runtime.UnlockOSThread()
		return err
	}
}

// A socket speaks rtnetlink with the kernel. One goroutine uses it at a time.
type socket struct {
	file    *os.File // registered with Go's poller: deadlines and Close end a wait
	raw     syscall.RawConn
	seq     uint32
	buffer  []byte // what is received
	batched []byte // what is sent
}

func openSocket(in opener) (*socket, error) {
	s := &socket{buffer: make([]byte, receiveSize)}
	err := in(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open a netlink socket: %w", err)
		}
		s.file = os.NewFile(uintptr(fd), "rtnetlink")
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	s.control(func(fd int) error {
		// All of them are improvements only, and older kernels lack some: the
		// kernel's words in errors, short errors, dumps filtered by table.
		_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
		_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
		_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
		return nil
	})
	if err := s.control(func(fd int) error {
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind a netlink socket: %w", err), s.file.Close())
	}
	return s, nil
}

func (s *socket) close() error {
	if err := s.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close a netlink socket: %w", err)
	}
	return nil
}

func (s *socket) control(f func(fd int) error) error {
	var err error
	if e := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// during runs f, whose waits on the socket end when ctx does; then the error
// is ctx's.
func (s *socket) during(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.file.SetDeadline(time.Time{}); err != nil {
		return err
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = s.file.SetDeadline(time.Unix(1, 0)) // fails only when closed, and then no wait goes on
	})
	err := f()
	if !stop() {
		<-fired
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

// send hands datagrams to the kernel, which acts on every message of one
// before send returns.
func (s *socket) send(b []byte) error {
	var err error
	if e := s.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		return err != unix.EAGAIN
	}); e != nil {
		return e
	}
	return err
}

// receive waits for one datagram of the kernel. The bytes are valid until the
// next read.
func (s *socket) receive() (datagram []byte, err error) {
	for datagram == nil && err == nil {
		err = s.waitRead(func(fd int) (bool, error) {
			var err error
			datagram, err = s.read(fd)
			if errors.Is(err, unix.EAGAIN) {
				return false, nil
			}
			return true, err
		})
	}
	return datagram, err
}

// waitRead waits until f, which is called when there may be something to read,
// has got something or fails.
func (s *socket) waitRead(f func(fd int) (got bool, err error)) error {
	var err error
	if e := s.raw.Read(func(fd uintptr) bool {
		var got bool
		got, err = f(int(fd))
		return got || err != nil
	}); e != nil {
		return e
	}
	return err
}

// read reads one datagram without waiting: nil if it was not the kernel's.
// The bytes are valid until the next read.
func (s *socket) read(fd int) ([]byte, error) {
	n, from, err := unix.Recvfrom(fd, s.buffer, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
	for err == unix.EINTR {
		n, from, err = unix.Recvfrom(fd, s.buffer, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
	}
	switch {
	case err != nil:
		return nil, os.NewSyscallError("recvfrom", err)
	case n > len(s.buffer):
		return nil, fmt.Errorf("a netlink datagram of %d bytes is longer than any expected", n)
	}
	if kernel, ok := from.(*unix.SockaddrNetlink); !ok || kernel.Pid != 0 {
		return nil, nil
	}
	return s.buffer[:n], nil
}

// port is the socket's address, by which the kernel's news name who asked for
// a change.
func (s *socket) port() (uint32, error) {
	var port uint32
	err := s.control(func(fd int) error {
		name, err := unix.Getsockname(fd)
		if own, ok := name.(*unix.SockaddrNetlink); ok {
			port = own.Pid
		}
		return os.NewSyscallError("getsockname", err)
	})
	return port, err
}

// drain throws away what an earlier, abandoned request left. An unfinished
// dump would otherwise make the kernel refuse the next one.
func (s *socket) drain() {
	_ = s.control(func(fd int) error {
		for {
			if _, _, err := unix.Recvfrom(fd, s.buffer, unix.MSG_DONTWAIT); err != nil && err != unix.EINTR && err != unix.ENOBUFS {
				return err
			}
		}
	})
}

// dump sends one dump request and calls each with the payload of every
// answer of type answer; the payload is valid during the call only. reset is
// called before each try.
func (s *socket) dump(request message, answer uint16, reset func(), each func(payload []byte) error) error {
	for try := 1; ; try++ {
		reset()
		whole, err := s.dumpOnce(request, answer, each)
		if err != nil || whole || try == dumpTries {
			return err
		}
	}
}

func (s *socket) dumpOnce(request message, answer uint16, each func([]byte) error) (whole bool, err error) {
	s.drain()
	s.seq++
	request.flags |= unix.NLM_F_REQUEST | unix.NLM_F_DUMP
	if err := s.send(request.encode(nil, s.seq)); err != nil {
		return false, os.NewSyscallError("sendto", err)
	}
	whole = true
	for {
		datagram, err := s.receive()
		if err != nil {
			return false, err
		}
		for head, payload := range messages(datagram) {
			if head.Seq != s.seq {
				continue
			}
			if head.Flags&unix.NLM_F_DUMP_INTR != 0 {
				whole = false
			}
			switch head.Type {
			case answer:
				if err := each(payload); err != nil {
					return false, err
				}
			case unix.NLMSG_ERROR, unix.NLMSG_DONE:
				return whole, parseAck(head, payload)
			}
		}
	}
}

// ask sends one request and calls each with every answer until the last.
// The error is the kernel's refusal, or says why ask had to stop.
func (s *socket) ask(request message, each func(kind uint16, payload []byte)) error {
	s.drain()
	s.seq++
	request.flags |= unix.NLM_F_REQUEST | unix.NLM_F_ACK
	if err := s.send(request.encode(nil, s.seq)); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	for {
		datagram, err := s.receive()
		if err != nil {
			return err
		}
		for head, payload := range messages(datagram) {
			switch {
			case head.Seq != s.seq:
			case head.Type == unix.NLMSG_ERROR:
				return parseAck(head, payload)
			default:
				each(head.Type, payload)
			}
		}
	}
}

// exchange sends n messages, many at a time, in order. It calls settle for
// each with nil or the kernel's refusal, which stops no other message. The
// error says why exchange had to stop; messages that were not settled were not
// sent, or their fate is unknown.
func (s *socket) exchange(n int, at func(i int) message, settle func(i int, refused error)) error {
	s.drain()
	results := make([]error, batchCount)
	for next := 0; next < n; {
		batch, count := s.batch(next, n, at)
		first := s.seq + 1
		s.seq += uint32(count)
		if err := s.send(batch); err != nil {
			return os.NewSyscallError("sendto", err)
		}
		clear(results)
		if err := s.acks(first, results[:count]); err != nil {
			return err
		}
		for i, result := range results[:count] {
			settle(next+i, result)
		}
		next += count
	}
	return nil
}

// batch encodes messages from the one given on. Only the last asks for an
// acknowledgement: the kernel works in order, and answers a failure in any
// case.
func (s *socket) batch(from, n int, at func(i int) message) (b []byte, count int) {
	b = s.batched[:0]
	last := 0
	for from+count < n && count < batchCount && len(b) < batchBytes {
		last = len(b)
		m := at(from + count)
		m.flags |= unix.NLM_F_REQUEST
		count++
		b = m.encode(b, s.seq+uint32(count))
	}
	flags := b[last+6 : last+8] // nlmsghdr.nlmsg_flags
	binary.NativeEndian.PutUint16(flags, binary.NativeEndian.Uint16(flags)|unix.NLM_F_ACK)
	s.batched = b
	return b, count
}

// acks reads answers until that to the last message has come.
func (s *socket) acks(first uint32, results []error) error {
	for {
		datagram, err := s.receive()
		if err != nil {
			return err
		}
		for head, payload := range messages(datagram) {
			i := int(int32(head.Seq - first))
			if head.Type != unix.NLMSG_ERROR || i < 0 || i >= len(results) {
				continue
			}
			results[i] = parseAck(head, payload)
			if i == len(results)-1 {
				return nil
			}
		}
	}
}

// interfaceNames returns a function that names interfaces, asking the kernel
// once for each.
func (s *socket) interfaceNames() func(index uint32) string {
	known := map[uint32]string{}
	return func(index uint32) string {
		name, ok := known[index]
		if !ok {
			name = s.interfaceName(index)
			known[index] = name
		}
		return name
	}
}

func (s *socket) interfaceName(index uint32) string {
	name := "if" + strconv.FormatUint(uint64(index), 10) // as ip-route(8) names one that has gone
	_ = s.control(func(fd int) error {
		request, err := unix.NewIfreq("")
		if err != nil {
			return err
		}
		request.SetUint32(index)
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, request); err != nil {
			return err
		}
		name = request.Name()
		return nil
	})
	return name
}
