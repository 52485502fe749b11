package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A Problem is one fault of a configuration file, and where it is.
type Problem struct {
	File    string // as given to Parse
	Line    int    // from 1; 0 when the whole file is at fault
	Column  int    // from 1, in characters; 0 when the whole line is at fault
	Path    string // the key at fault, such as vips[2].primary; "" at the top
	Message string // what was found, and what would be right
	Source  string // the text of the line; "" when there is none to show
}

// Problems is every fault of one file, sorted by position. It is the error
// that Parse returns.
type Problems []Problem

// excerptWidth is how many characters of a source line Detail shows: enough
// for a line people write, and a window on one that a program wrote.
const excerptWidth = 100

// String returns the problem in one line: file:line:column: path: message.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Detail returns String, then the source line with a caret under the fault.
func (p Problem) Detail() string {
	if p.Line == 0 || p.Column == 0 || p.Source == "" {
		return p.String()
	}
	text, caret := window([]rune(p.Source), p.Column-1)
	number := fmt.Sprint(p.Line)
	gutter := strings.Repeat(" ", len(number))
	return fmt.Sprintf("%s\n  %s | %s\n  %s | %s^", p, number, text, gutter, strings.Repeat(" ", caret))
}

// Error returns all problems, one in a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Detail returns all problems with their source lines, for a terminal.
func (ps Problems) Detail() string {
	blocks := make([]string, len(ps))
	for i, p := range ps {
		blocks[i] = p.Detail()
	}
	return strings.Join(blocks, "\n")
}

// sorted returns the problems by position, each once: a fault in an anchored
// part is found again through every alias.
func (ps Problems) sorted() Problems {
	ps = slices.Clone(ps)
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(ps, func(a, b Problem) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
}

// window returns the part of a line around the character at index at, and
// where that character is in the part. What does not print, tabs among it,
// becomes one space, so that the caret stays under its character and a file
// cannot send escape sequences to a terminal.
func window(line []rune, at int) (string, int) {
	at = min(at, len(line))
	first := 0
	if at >= excerptWidth {
		first = at - excerptWidth/2
	}
	part := slices.Clone(line[first:min(len(line), first+excerptWidth)])
	for i, r := range part {
		if !unicode.IsPrint(r) {
			part[i] = ' '
		}
	}
	return strings.TrimRight(string(part), " "), at - first
}
