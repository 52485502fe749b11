package probe

import (
	"bytes"
	"strconv"
)

const (
	maxHead = 16 << 10 // bytes of status line and header fields that are read
	maxBody = 64 << 10 // bytes of a body that are read
)

// A head is what matters of a response's status line and header fields.
type head struct {
	status  int
	length  int64 // Content-Length; -1 without
	chunked bool
	close   bool // the server will close the connection
}

// untilClose reports whether only the end of the connection ends the body
// (RFC 9112, section 6.3).
func (h head) untilClose() bool { return !h.chunked && h.length < 0 }

// parseHead reads a response's head from the start of b and returns its length;
// 0 with no error means that more bytes are needed. from is how much of b an
// earlier call has seen. Interim responses (1xx) are heads of their own.
func parseHead(b []byte, from int) (head, int, error) {
	if err := checkStart(b); err != nil {
		return head{}, 0, err
	}
	end := headEnd(b, max(from-3, 0))
	if end > maxHead || end == 0 && len(b) >= maxHead {
		return head{}, 0, failf("malformed response: more than %d KiB of headers", maxHead>>10)
	}
	if end == 0 {
		return head{}, 0, nil
	}
	line, fields := cutLine(b[:end])
	h := head{length: -1}
	if err := h.readStatus(line); err != nil {
		return head{}, 0, err
	}
	for len(fields) > 0 {
		line, fields = cutLine(fields)
		if err := h.readField(line); err != nil {
			return head{}, 0, err
		}
	}
	return h, end, nil
}

// checkStart finds what is not HTTP/1 at its first byte, before a timeout would.
func checkStart(b []byte) error {
	const start = "HTTP/1."
	n := min(len(b), len(start))
	if string(b[:n]) != start[:n] {
		return failf("malformed response: %q is not HTTP/1", excerpt(b))
	}
	return nil
}

// headEnd returns the index after the empty line that ends a head, or 0. A bare
// LF ends a line too (RFC 9112, section 2.2).
func headEnd(b []byte, from int) int {
	for {
		lf := bytes.IndexByte(b[from:], '\n')
		if lf < 0 {
			return 0
		}
		from += lf + 1
		rest := b[from:]
		if len(rest) > 0 && rest[0] == '\n' {
			return from + 1
		}
		if len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n' {
			return from + 2
		}
	}
}

// cutLine splits b after its first line, which it returns without its end.
func cutLine(b []byte) (line, rest []byte) {
	lf := bytes.IndexByte(b, '\n')
	if lf < 0 {
		return b, nil
	}
	return bytes.TrimSuffix(b[:lf], []byte{'\r'}), b[lf+1:]
}

// readStatus reads "HTTP/1.1 200 OK"; the reason may be missing.
func (h *head) readStatus(line []byte) error {
	const at = len("HTTP/1.1 ")
	ok := len(line) >= at+3 && isDigit(line[at-2]) && line[at-1] == ' ' &&
		(len(line) == at+3 || line[at+3] == ' ')
	if !ok {
		return failf("malformed response: status line %q", excerpt(line))
	}
	for _, c := range line[at : at+3] {
		if !isDigit(c) {
			return failf("malformed response: status line %q", excerpt(line))
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 {
		return failf("malformed response: status line %q", excerpt(line))
	}
	h.close = line[at-2] == '0' // HTTP/1.0
	return nil
}

// readField reads one header field. The length of its name comes first: most
// are not of interest.
func (h *head) readField(line []byte) error {
	if len(line) == 0 || line[0] == ' ' || line[0] == '\t' {
		return nil // the end, or a folded line of a field before
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return failf("malformed response: header line %q", excerpt(line))
	}
	name, value := line[:colon], line[colon+1:]
	switch {
	case isName(name, "content-length"):
		return h.readLength(bytes.TrimSpace(value))
	case isName(name, "transfer-encoding"):
		h.chunked = bytes.EqualFold(lastToken(value), []byte("chunked"))
		h.close = h.close || !h.chunked
	case isName(name, "connection"):
		for token := range bytes.SplitSeq(value, []byte{','}) {
			h.close = h.close || bytes.EqualFold(bytes.TrimSpace(token), []byte("close"))
		}
	}
	return nil
}

func (h *head) readLength(value []byte) error {
	n, err := strconv.ParseUint(string(value), 10, 63)
	if err != nil || h.length >= 0 && h.length != int64(n) {
		return failf("malformed response: Content-Length %q", excerpt(value))
	}
	h.length = int64(n)
	return nil
}

// bodyless reports whether no body follows, whatever the fields say (RFC 9112,
// section 6.3).
func (h head) bodyless(method string) bool {
	return method == "HEAD" || h.status == 204 || h.status == 304 || h.length == 0 && !h.chunked
}

func lastToken(value []byte) []byte {
	return bytes.TrimSpace(value[bytes.LastIndexByte(value, ',')+1:])
}

func isName(name []byte, lower string) bool {
	return len(name) == len(lower) && bytes.EqualFold(name, []byte(lower))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// excerpt is the beginning of what a server said, for a message.
func excerpt(b []byte) []byte { return b[:min(len(b), 40)] }
