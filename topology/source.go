package topology

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const (
	maxFile     = 4 << 20   // bytes; a site of a hundred thousand VIPs fits
	maxSearch   = 256 << 10 // bytes in which to search for the line of a syntax error
	maxAliased  = 10_000    // nodes reached through aliases; a bomb has billions
	maxProblems = 1000      // more help nobody, and each costs a search for what was meant
)

// A source is the file being read and the problems found in it so far.
type source struct {
	file     string
	lines    []string
	problems Problems
	hidden   map[int]bool // lines that may hold a secret: not to be shown, whatever else is wrong on them
}

func newSource(file string, data []byte) *source {
	return &source{file: file, lines: splitLines(string(data)), hidden: map[int]bool{}}
}

// splitLines splits as YAML does, so that its line numbers find their text.
func splitLines(text string) []string {
	breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	return strings.Split(breaks.Replace(text), "\n")
}

// add notes a problem.
func (s *source) add(line, column int, path, message string) {
	if s.full() {
		return
	}
	p := Problem{File: s.file, Line: line, Column: column, Path: path, Message: message}
	if line >= 1 && line <= len(s.lines) {
		p.Source = s.lines[line-1]
	}
	s.problems = append(s.problems, p)
}

// found returns the problems by position, without the text of hidden lines.
func (s *source) found() Problems {
	for i, p := range s.problems {
		if s.hidden[p.Line] {
			s.problems[i].Source = ""
		}
	}
	return s.problems.sorted()
}

// full says that further problems are not kept.
func (s *source) full() bool { return len(s.problems) >= maxProblems }

// document decodes the file's one YAML document, or notes why it cannot and
// returns nil.
func (s *source) document(data []byte) *yaml.Node {
	if len(data) > maxFile {
		s.add(0, 0, "", fmt.Sprintf("the file has %d bytes, more than the %d a site may have", len(data), maxFile))
		return nil
	}
	if !s.utf8(data) {
		return nil
	}
	root, second, err := decode(data)
	if err != nil {
		s.syntax(data, err)
		return nil
	}
	if second != nil {
		s.add(second.Line, second.Column, "", "a second YAML document starts here; a site is one document")
		return nil
	}
	if root == nil || len(root.Content) == 0 || isNull(root.Content[0]) {
		s.add(1, 1, "", "the file is empty; the least a site needs is servers, vips and routers")
		return nil
	}
	if !s.bounded(root) {
		return nil
	}
	return root.Content[0]
}

// utf8 notes the first byte that is not UTF-8.
func (s *source) utf8(data []byte) bool {
	if utf8.Valid(data) {
		return true
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	before := splitLines(string(data[:at]))
	column := utf8.RuneCountInString(before[len(before)-1]) + 1
	s.add(len(before), column, "", fmt.Sprintf("byte 0x%02x is not UTF-8 text", data[at]))
	return false
}

// decode returns the first document and the second, nil where there is none.
func decode(data []byte) (first, second *yaml.Node, err error) {
	// The parser panics on faults of its own that no caller can foresee; a
	// reload must survive any file.
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("yaml: the parser failed: %v", fault)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if first, err = next(decoder); err != nil || first == nil {
		return nil, nil, err
	}
	second, err = next(decoder)
	return first, second, err
}

// next decodes the next document, nil at the end.
func next(decoder *yaml.Decoder) (*yaml.Node, error) {
	var node yaml.Node
	err := decoder.Decode(&node)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &node, nil
}

// syntax notes a YAML syntax error at the line that causes it.
func (s *source) syntax(data []byte, err error) {
	lines := bytes.SplitAfter(data, []byte("\n"))
	at := faultLine(data, lines, err)
	text := string(lines[at])
	column := len(text) - len(strings.TrimLeft(text, " \t")) + 1
	before := string(bytes.Join(lines[:at], nil))
	s.add(len(splitLines(before)), column, "", syntaxMessage(err, text))
}

// faultLine finds the line, from 0, that causes a syntax error.
//
// The parser names the line where the surrounding block starts, often line 1,
// or no line. But it reads front to back, so the line at fault is the last one
// of the shortest beginning of the file that fails in the same way. The search
// costs tens of readings; for a very large file the parser's word must do.
func faultLine(data []byte, lines [][]byte, err error) int {
	if len(data) > maxSearch {
		said := yamlPrefix.FindStringSubmatch(err.Error())
		if said == nil || said[2] == "" {
			return 0
		}
		line, _ := strconv.Atoi(said[2]) // digits, by the expression
		return min(max(line, 1), len(lines)) - 1
	}
	ends := make([]int, len(lines))
	end := 0
	for i, line := range lines {
		end += len(line)
		ends[i] = end
	}
	return sort.Search(len(lines)-1, func(i int) bool {
		_, _, got := decode(data[:ends[i]])
		return got != nil && got.Error() == err.Error()
	})
}

// yamlPrefix is what the parser puts before its message; the line is not the
// one we want.
var yamlPrefix = regexp.MustCompile(`^yaml: (line (\d+): )?`)

// syntaxMessage adds the usual cause to the parser's words, which speak of
// tokens.
func syntaxMessage(err error, line string) string {
	message := "not YAML: " + yamlPrefix.ReplaceAllString(err.Error(), "")
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return message + "; indent with spaces, not tabs"
	case strings.Contains(message, "did not find expected key"),
		strings.Contains(message, "did not find expected '-' indicator"),
		strings.Contains(message, "mapping values are not allowed"):
		return message + "; look at the indentation, and for a missing colon, quote or bracket near here"
	case strings.Contains(message, "did not find expected ',' or"):
		return message + "; a bracket or brace opened here is not closed"
	case strings.Contains(message, "unexpected end of stream"):
		return message + "; a quote opened here is not closed"
	}
	return message
}

// bounded notes tags, which change what a word is, and is false for aliases
// that contain themselves or unfold to more than a person would write, which
// would otherwise cost memory without limit.
func (s *source) bounded(root *yaml.Node) bool {
	budget := maxAliased
	var visit func(node, through *yaml.Node) bool
	visit = func(node, through *yaml.Node) bool {
		if node.Kind == yaml.AliasNode {
			if through == nil {
				through = node
			}
			node = node.Alias
		}
		if through != nil {
			if budget--; budget < 0 {
				s.add(through.Line, through.Column, "", fmt.Sprintf(
					"alias *%s contains itself or unfolds to too much; write the values out", through.Value))
				return false
			}
		}
		if node.Style&yaml.TaggedStyle != 0 {
			s.add(node.Line, node.Column, "", fmt.Sprintf("tag %s: write the plain value, without a tag", node.Tag))
		}
		for _, child := range node.Content {
			if !visit(child, through) {
				return false
			}
		}
		return true
	}
	return visit(root, nil)
}
