package probe

import "bytes"

// A body decodes a response's body as it arrives and keeps what has been
// decoded, up to maxBody bytes. Reset prepares it for a response.
type body struct {
	data    []byte // decoded so far
	done    bool   // the body has ended, or enough was read
	cropped bool   // done, but the body goes on: the connection cannot be reused

	chunked bool
	left    int64 // bytes left of the body or chunk; negative: until the connection ends
	state   chunkState
	line    int // bytes of the chunk-size or trailer line so far
}

// chunkState is the place within a chunked body (RFC 9112, section 7.1).
type chunkState uint8

const (
	chunkSize      chunkState = iota // hexadecimal digits
	chunkExtension                   // the rest of that line
	chunkData
	chunkEnd // the line end after the data
	trailer  // fields after the last chunk, to an empty line
)

// reset prepares for the body that follows h.
func (b *body) reset(h head, method string) {
	*b = body{data: b.data[:0], chunked: h.chunked, left: h.length}
	switch {
	case h.bodyless(method):
		b.done = true
	case h.chunked:
		b.left = 0
	}
}

// feed decodes what came next.
func (b *body) feed(raw []byte) error {
	if !b.chunked {
		n := len(raw)
		if b.left >= 0 {
			n = int(min(b.left, int64(n)))
			b.left -= int64(n)
		}
		b.done = b.left == 0
		b.keep(raw[:n])
		return nil
	}
	for len(raw) > 0 && !b.done {
		n, err := b.step(raw)
		if err != nil {
			return err
		}
		raw = raw[n:]
	}
	return nil
}

// keep stores decoded bytes within the limit.
func (b *body) keep(data []byte) {
	n := min(len(data), maxBody-len(b.data))
	b.data = append(b.data, data[:n]...)
	if n < len(data) || len(b.data) == maxBody && !b.done {
		b.done, b.cropped = true, true
	}
}

// step decodes one byte of framing or a run of data, and returns its length.
func (b *body) step(raw []byte) (int, error) {
	c := raw[0]
	switch b.state {
	case chunkSize:
		return 1, b.sizeDigit(c)
	case chunkExtension:
		return 1, b.extension(c)
	case chunkData:
		n := int(min(b.left, int64(len(raw))))
		b.left -= int64(n)
		if b.left == 0 {
			b.state = chunkEnd
		}
		b.keep(raw[:n])
		return n, nil
	case chunkEnd:
		if c == '\n' {
			b.state, b.line = chunkSize, 0
			return 1, nil
		}
		if c != '\r' {
			return 0, failf("malformed response: a chunk is longer than its size")
		}
		return 1, nil
	case trailer:
		b.trailerByte(c)
		return 1, nil
	default:
		panic("probe: no such chunk state")
	}
}

func (b *body) sizeDigit(c byte) error {
	digit := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
	switch {
	case (isDigit(c) || c|0x20 >= 'a') && digit >= 0 && b.line < 15:
		b.left = b.left<<4 | int64(digit)
		b.line++
		return nil
	case b.line > 0 && (c == '\r' || c == '\n' || c == ';' || c == ' ' || c == '\t'):
		b.state = chunkExtension
		return b.extension(c)
	default:
		return failf("malformed response: chunk size")
	}
}

func (b *body) extension(c byte) error {
	b.line++
	if b.line > maxHead {
		return failf("malformed response: chunk extension")
	}
	if c != '\n' {
		return nil
	}
	b.line = 0
	b.state = chunkData
	if b.left == 0 {
		b.state = trailer
	}
	return nil
}

func (b *body) trailerByte(c byte) {
	switch {
	case c == '\n':
		b.done = b.line == 0
		b.line = 0
	case c != '\r':
		b.line++
	}
}
