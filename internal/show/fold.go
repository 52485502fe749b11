package show

import (
	"regexp"
	"strings"
)

// hang is how far the rest of a folded line is indented.
const hang = 4

// line writes text after indent, and folds it to the style's width; what does
// not fit goes below, indented further.
func (s Style) line(b *strings.Builder, indent, text string) {
	below := "\n" + indent + strings.Repeat(" ", hang)
	b.WriteString(indent)
	b.WriteString(strings.Join(s.fold(text, len(indent), len(indent)+hang), below))
	b.WriteByte('\n')
}

// fold breaks text at spaces where the terminal ends, if the first line begins
// at column first and the others at column rest. A word that is too long for
// any line stays whole: it is there to be copied.
func (s Style) fold(text string, first, rest int) []string {
	if s.Width <= 0 || first+visible(text) <= s.Width {
		return []string{text}
	}
	var lines []string
	line, at := "", first
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case at+visible(line)+1+visible(word) <= s.Width:
			line += " " + word
		default:
			lines, line, at = append(lines, strings.TrimRight(line, " ")), word, rest
		}
	}
	return append(lines, line)
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// visible is the number of columns that painted text takes.
func visible(text string) int {
	if !strings.Contains(text, "\x1b") {
		return columns(text)
	}
	return columns(escapes.ReplaceAllString(text, ""))
}
