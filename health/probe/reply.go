package probe

import (
	"bytes"
	"strconv"

	"github.com/routesteer/routesteer/topology"
)

// A reply judges an HTTP response as its bytes arrive, wherever they come from.
type reply struct {
	spec topology.HTTP
	want []byte // the text that the body must contain

	answered bool   // a byte has come
	pending  []byte // of a head that is not complete
	seen     int    // how much of pending was looked at
	interim  int    // bytes of interim responses (1xx)
	inBody   bool
	head     head
	body     body
	searched int // of the body
	found    bool
}

func newReply(spec topology.HTTP) *reply { return &reply{spec: spec, want: []byte(spec.Body)} }

// reset prepares for the response to another request.
func (r *reply) reset() {
	*r = reply{spec: r.spec, want: r.want, pending: r.pending[:0], body: body{data: r.body.data[:0]}, found: len(r.want) == 0}
}

// feed takes what came next. It is done when no more is needed; an error is
// the check's failure.
func (r *reply) feed(b []byte) (done bool, err error) {
	r.answered = true
	for !r.inBody {
		rest, err := r.readHead(b)
		if err != nil || rest == nil {
			return false, err
		}
		b = rest
	}
	return r.readBody(b)
}

// readHead reads a head and returns what comes after it; nil: more is needed.
func (r *reply) readHead(b []byte) (rest []byte, err error) {
	if len(r.pending) > 0 {
		r.pending = append(r.pending, b...)
		b = r.pending
	}
	h, n, err := parseHead(b, r.seen)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		if len(r.pending) == 0 {
			r.pending = append(r.pending, b...)
		}
		r.seen = len(b)
		return nil, nil
	}
	// What follows may lie in pending: it is fed on before that is used again.
	r.pending, r.seen = nil, 0
	if h.status < 200 && h.status != 101 {
		if r.interim += n; r.interim > maxHead {
			return nil, failf("malformed response: no end of interim responses")
		}
		return b[n:], nil
	}
	if !statusWanted(h.status, r.spec.Status) {
		return nil, failf("status %d, want %s", h.status, statusWords(r.spec.Status))
	}
	r.inBody, r.head = true, h
	r.body.reset(h, r.spec.Method)
	return b[n:], nil
}

// readBody reads until the text is found or, to use the connection again, to
// the end.
func (r *reply) readBody(b []byte) (done bool, err error) {
	if r.found && !r.spec.KeepAlive {
		return true, nil
	}
	if !r.body.done {
		err = r.body.feed(b)
	}
	if !r.found {
		r.found = bytes.Contains(r.body.data[max(r.searched-len(r.want)+1, 0):], r.want)
		r.searched = len(r.body.data)
	}
	switch {
	case r.found && !r.spec.KeepAlive: // whatever follows
		return true, nil
	case err != nil:
		return false, err
	case r.body.done && !r.found:
		return true, r.lacks()
	default:
		return r.body.done, nil
	}
}

func (r *reply) lacks() error { return failf("body lacks %q", r.spec.Body) }

// eof takes the end of the connection. closed says that the response was not
// complete.
func (r *reply) eof() (closed bool, err error) {
	switch {
	case !r.inBody || !r.head.untilClose():
		return true, nil
	case !r.found:
		return false, r.lacks()
	default:
		return false, nil
	}
}

// reusable reports whether another request may follow on the connection.
func (r *reply) reusable() bool {
	return r.spec.KeepAlive && r.inBody && !r.head.close && !r.head.untilClose() && r.body.done && !r.body.cropped
}

// waitingFor says what a response that is not done lacks.
func (r *reply) waitingFor() string {
	switch {
	case !r.answered:
		return "waiting for the response"
	case !r.inBody:
		return "reading the response"
	default:
		return "reading the body"
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
