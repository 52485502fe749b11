package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/steer"
)

// A refusal is the kernel's answer to a request that failed. It unwraps to
// the unix.Errno.
type refusal struct {
	errno unix.Errno
	words string // the kernel's own (NLMSGERR_ATTR_MSG); often ""
}

func (r *refusal) Error() string {
	if r.words == "" {
		return r.errno.Error()
	}
	return fmt.Sprintf("%s (%s)", r.words, r.errno.Error())
}

func (r *refusal) Unwrap() error { return r.errno }

func isAny(err error, errnos ...unix.Errno) bool {
	for _, errno := range errnos {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// parseAck reads an NLMSG_ERROR or NLMSG_DONE; nil is success.
func parseAck(head unix.NlMsghdr, payload []byte) error {
	if len(payload) < 4 {
		return nil // an older kernel's NLMSG_DONE
	}
	code := int32(binary.NativeEndian.Uint32(payload))
	if code >= 0 {
		return nil
	}
	r := &refusal{errno: unix.Errno(-code)}
	extra := payload[4:]
	if head.Type == unix.NLMSG_ERROR { // the request's header follows, or all of the request
		skip := unix.SizeofNlMsghdr
		if head.Flags&unix.NLM_F_CAPPED == 0 && len(extra) >= unix.SizeofNlMsghdr {
			skip = align(int(min(binary.NativeEndian.Uint32(extra), uint32(len(extra)))))
		}
		extra = extra[min(skip, len(extra)):]
	}
	if head.Flags&unix.NLM_F_ACK_TLVS == 0 {
		return r
	}
	for kind, value := range attributes(extra) {
		if kind == unix.NLMSGERR_ATTR_MSG {
			r.words = strings.TrimRight(string(value), "\x00")
		}
	}
	return r
}

// explain adds to the kernel's refusal of a change what the operator can do.
func explain(c steer.Change, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		hint = notConnected(c)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		hint = "changing routes needs CAP_NET_ADMIN: run as root, or with AmbientCapabilities=CAP_NET_ADMIN"
	case errors.Is(err, unix.ENETDOWN):
		hint = "the interface towards " + addresses(c.To) + " is down: see ip link"
	case errors.Is(err, unix.EEXIST):
		hint = "another route for the prefix has just appeared: the next pass looks again"
	case errors.Is(err, unix.EINVAL):
		hint = "is " + addresses(c.To) + " an address of a server, not of this machine? See ip address"
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		hint = "this kernel has no IPv6, or it is switched off: see sysctl net.ipv6.conf.all.disable_ipv6"
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOSPC):
		hint = "the kernel has no room for more routes: see sysctl net.ipv6.route.max_size, and memory"
	default:
		return fmt.Errorf("the kernel refused: %w", err)
	}
	return fmt.Errorf("the kernel refused: %w; %s", err, hint)
}

func notConnected(c steer.Change) string {
	if len(c.To) == 1 {
		return c.To[0].Address.String() + " is not on a connected network of this machine: see ip route get " +
			c.To[0].Address.String()
	}
	return "not all of " + addresses(c.To) + " are on connected networks of this machine: see ip route get for each"
}

func addresses(hops []steer.NextHop) string {
	words := make([]string, len(hops))
	for i, h := range hops {
		words[i] = h.Address.String()
	}
	return strings.Join(words, ", ")
}
