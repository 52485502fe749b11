package flows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// dumpLimit is how long a list of flows may take.
const dumpLimit = 10 * time.Second

// A dumper lists the elements of large maps one by one: there may be a million
// flows, and the nftables library holds all that it lists in memory.
type dumper struct {
	file   *os.File // registered with Go's poller, for its deadline
	seq    uint32
	buffer []byte
}

// openDumper opens a netfilter socket in the network namespace of the file
// descriptor ns, or with a negative one in the calling thread's.
func openDumper(ns int) (*dumper, error) {
	fd, err := socketIn(ns)
	if err != nil {
		return nil, fmt.Errorf("open a netfilter socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind a netfilter socket: %w", err), unix.Close(fd))
	}
	return &dumper{file: os.NewFile(uintptr(fd), "nftables"), buffer: make([]byte, 64<<10)}, nil
}

// socketIn opens a netfilter socket in the namespace, where it stays.
func socketIn(ns int) (fd int, err error) {
	err = within(ns, func() error {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
		return err
	})
	return fd, err
}

// within lends a thread to the namespace, where f runs.
func within(ns int, f func() error) error {
	if ns < 0 {
		return f()
	}
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer unix.Close(home)
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked: it must run no other goroutine
	}
	runtime.UnlockOSThread()
	return err
}

func (d *dumper) close() error { return d.file.Close() }

// A noted flow, as the kernel lists it. The key is valid during the call only.
type noted struct {
	key     []byte
	mark    uint32
	expires time.Duration // until it is forgotten
}

// flows calls each for every flow in a map of one of our tables. A map that
// changes meanwhile is listed as it can be: a flow may be missed, or come twice.
func (d *dumper) flows(f *family, set string, each func(noted)) error {
	if err := d.file.SetDeadline(time.Now().Add(dumpLimit)); err != nil {
		return fmt.Errorf("list flows: %w", err)
	}
	d.seq++
	if _, err := d.file.Write(d.request(f, set)); err != nil {
		return fmt.Errorf("list flows: %w", err)
	}
	for {
		n, err := d.file.Read(d.buffer)
		if err != nil {
			return fmt.Errorf("list flows: %w", err)
		}
		done, err := d.read(d.buffer[:n], each)
		if done || err != nil {
			return err
		}
	}
}

// request is an NFT_MSG_GETSETELEM for all elements of the set.
func (d *dumper) request(f *family, set string) []byte {
	ne := binary.NativeEndian
	body := []byte{uint8(f.table), unix.NFNETLINK_V0, 0, 0}
	body = appendText(body, unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
	body = appendText(body, unix.NFTA_SET_ELEM_LIST_SET, set)
	b := ne.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = ne.AppendUint16(b, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETSETELEM)
	b = ne.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b = ne.AppendUint32(b, d.seq)
	b = ne.AppendUint32(b, 0)
	return append(b, body...)
}

func appendText(b []byte, kind uint16, text string) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(text)+1))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(append(b, text...), 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// read takes in one datagram, and reports whether it was the last.
func (d *dumper) read(b []byte, each func(noted)) (done bool, err error) {
	ne := binary.NativeEndian
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(ne.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return false, errors.New("list flows: the kernel's answer is cut short")
		}
		kind, seq, body := ne.Uint16(b[4:]), ne.Uint32(b[8:]), b[unix.SizeofNlMsghdr:size]
		b = b[min((size+3)&^3, len(b)):]
		if seq != d.seq {
			continue // of a list that was given up
		}
		switch {
		case kind == unix.NLMSG_DONE || kind == unix.NLMSG_ERROR:
			return true, failure(body)
		case kind == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWSETELEM && len(body) >= 4:
			readElements(body[4:], each)
		}
	}
	return false, nil
}

// failure reads the code of an NLMSG_ERROR or NLMSG_DONE. A set that has gone
// has no flows.
func failure(body []byte) error {
	if len(body) < 4 {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(body)); code < 0 && unix.Errno(-code) != unix.ENOENT {
		return fmt.Errorf("list flows: %w", unix.Errno(-code))
	}
	return nil
}

func readElements(b []byte, each func(noted)) {
	walk(b, func(kind uint16, list []byte) {
		if kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return
		}
		walk(list, func(_ uint16, element []byte) {
			var n noted
			walk(element, func(kind uint16, value []byte) {
				switch kind {
				case unix.NFTA_SET_ELEM_KEY:
					n.key = inner(value)
				case unix.NFTA_SET_ELEM_DATA:
					n.mark, _ = readMark(inner(value))
				case unix.NFTA_SET_ELEM_EXPIRATION:
					if len(value) == 8 {
						n.expires = time.Duration(binary.BigEndian.Uint64(value)) * time.Millisecond
					}
				}
			})
			each(n)
		})
	})
}

// inner is the value in an NFTA_DATA_VALUE.
func inner(b []byte) (value []byte) {
	walk(b, func(kind uint16, v []byte) {
		if kind == unix.NFTA_DATA_VALUE {
			value = v
		}
	})
	return value
}

// walk calls each for the attributes; it ends at the first that is malformed.
func walk(b []byte, each func(kind uint16, value []byte)) {
	const kindMask = 0x3fff // without the flags for nesting and byte order
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&kindMask, b[unix.SizeofRtAttr:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}
