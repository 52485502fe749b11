// Package show writes an api answer as the text that an operator reads: on a
// terminal at 5 a.m., in a pipe, in a mail to a colleague.
//
// Every function is pure: ages count from the time the answer was made, and
// nothing is said by colour alone. Whatever came from outside, such as a
// server's own words in a failure, is stripped of control characters.
package show

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
)

// A Style is how text is dressed for its reader. Its zero value is plain text
// in local time.
type Style struct {
	Colour bool           // the reader is a terminal that wants it
	Width  int            // columns of the terminal, which lines are folded to; 0 leaves them whole
	Zone   *time.Location // of absolute times; nil is local
}

// An ink is what a colour means.
type ink int

const (
	plain ink = iota
	good
	bad
	doubtful
	faint
	bold
)

// paint wraps text in the ink's escape sequence, if the style has colours.
func (s Style) paint(i ink, text string) string {
	if !s.Colour || i == plain || text == "" {
		return text
	}
	return fmt.Sprintf("\x1b[%sm%s\x1b[0m", i.code(), text)
}

// code is the ink's parameter of SGR (ECMA-48, 8.3.117).
func (i ink) code() string {
	switch i {
	case plain:
		return "0"
	case good:
		return "32"
	case bad:
		return "1;31"
	case doubtful:
		return "33"
	case faint:
		return "2"
	case bold:
		return "1"
	default:
		panic("show: no such ink")
	}
}

// clock writes a time of day with its date, in the style's zone.
func (s Style) clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	zone := s.Zone
	if zone == nil {
		zone = time.Local
	}
	return t.In(zone).Format(time.DateTime)
}

// clean replaces what could move the cursor or reverse the line, and makes one
// line of several.
func clean(text string) string {
	text = oneLine(text)
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return '\ufffd'
		}
		return r
	}, text)
}

// oneLine joins lines with "; ", or with a space after a colon.
func oneLine(text string) string {
	if !strings.ContainsAny(text, "\n\r") {
		return text
	}
	var joined string
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case joined == "" || strings.HasSuffix(joined, ":"):
			joined = strings.TrimSpace(joined + " " + line)
		default:
			joined += "; " + line
		}
	}
	return joined
}

// columns is the number of terminal columns that text takes.
func columns(text string) int {
	n := 0
	for _, r := range text {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			if !unicode.Is(unicode.Mn, r) {
				n++
			}
		}
	}
	return n
}
