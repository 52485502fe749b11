package cisco

// A cleaner takes out of a stream what is no text: NULs, escape sequences
// (ECMA-48) and other control characters, but for those that move the cursor
// within its line. Sequences may be cut anywhere between two calls.
type cleaner struct {
	state cleanState
}

type cleanState int

const (
	inText     cleanState = iota
	inEscape              // after ESC
	inSequence            // after ESC [
	inString              // after ESC ], which a BEL or ESC \ ends
)

// clean returns what is text, in place.
func (c *cleaner) clean(data []byte) []byte {
	kept := data[:0]
	for _, b := range data {
		if c.next(b) {
			kept = append(kept, b)
		}
	}
	return kept
}

// next reports whether a byte is text.
func (c *cleaner) next(b byte) bool {
	switch c.state {
	case inEscape:
		c.state = afterEscape(b)
	case inSequence:
		switch {
		case b == 0x1b: // another begins
			c.state = inEscape
		case b >= 0x40 && b <= 0x7e:
			c.state = inText
		}
	case inString:
		switch b {
		case 0x07, '\n': // a string without end must not take all that follows
			c.state = inText
		case 0x1b:
			c.state = inEscape
		}
	default:
		if b == 0x1b {
			c.state = inEscape
			return false
		}
		return b >= ' ' && b != 0x7f || b == '\n' || b == '\r' || b == '\b' || b == '\t'
	}
	return false
}

func afterEscape(b byte) cleanState {
	switch {
	case b == '[':
		return inSequence
	case b == ']', b == 'P', b == '_', b == '^':
		return inString
	case b >= 0x20 && b <= 0x2f: // more of the sequence follows
		return inEscape
	default:
		return inText
	}
}
