package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// A cursor is a place in the document: a value and the path to it. Its
// methods read the value as something, or note why it is not that.
type cursor struct {
	src  *source
	node *yaml.Node
	path string
}

// An entry is one key of a mapping and its value.
type entry struct {
	name  string
	key   cursor // path is the mapping's
	value cursor // path is the key's
}

// at returns a cursor on another node, following an alias.
func (c cursor) at(node *yaml.Node, path string) cursor {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return cursor{src: c.src, node: node, path: path}
}

// problem notes a problem here.
func (c cursor) problem(format string, args ...any) {
	if !c.src.full() {
		c.src.add(c.node.Line, c.node.Column, c.path, fmt.Sprintf(format, args...))
	}
}

// unshown notes a problem whose line is not to be shown: it may hold a secret.
func (c cursor) unshown(format string, args ...any) {
	if !c.src.full() {
		c.problem(format, args...)
		c.src.hidden[c.node.Line] = true
	}
}

// unknown notes that word is none of the candidates.
func (c cursor) unknown(what, word string, candidates []string) {
	if !c.src.full() {
		c.problem("unknown %s %q%s", what, word, suggest(word, candidates))
	}
}

// unavailable notes a driver that the design has and this version has not.
func (c cursor) unavailable(word string) {
	c.problem("driver %q is not available in this version; available: %s", word, strings.Join(drivers(), ", "))
}

// found describes the value for "expected …, found …".
func (c cursor) found() string {
	switch {
	case isNull(c.node):
		return "nothing"
	case c.node.Kind == yaml.MappingNode:
		return "a mapping"
	case c.node.Kind == yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(shorten(c.node.Value))
}

func (c cursor) isNull() bool { return isNull(c.node) }
func (c cursor) isMap() bool  { return c.node.Kind == yaml.MappingNode }
func (c cursor) isList() bool { return c.node.Kind == yaml.SequenceNode }
func (c cursor) isWord() bool { return c.node.Kind == yaml.ScalarNode && !isNull(c.node) }

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.Tag == "!!null"
}

// shorten keeps a message readable when the file holds a novel.
func shorten(word string) string {
	runes := []rune(word)
	if len(runes) <= 64 {
		return word
	}
	return string(runes[:63]) + "…"
}

// entries reads a mapping with free keys: names, in file order. A key given
// twice is noted and only the first kept. want says what was expected.
func (c cursor) entries(want string) ([]entry, bool) {
	if !c.isMap() {
		c.problem("expected %s, found %s", want, c.found())
		return nil, false
	}
	var all []entry
	lines := map[string]int{}
	for i := 0; i+1 < len(c.node.Content); i += 2 {
		key := c.at(c.node.Content[i], c.path)
		if !key.isWord() {
			key.problem("expected a word as key, found %s", key.found())
			continue
		}
		name := key.node.Value
		if line, twice := lines[name]; twice {
			key.problem("duplicate key %q, first on line %d", shorten(name), line)
			continue
		}
		lines[name] = key.node.Line
		all = append(all, entry{name, key, c.at(c.node.Content[i+1], join(c.path, name))})
	}
	return all, true
}

// join appends a key to a path, quoted if it is no name.
func join(path, key string) string {
	if nameFault(key) != "" {
		key = strconv.Quote(shorten(key))
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// list reads a list.
func (c cursor) list(want string) ([]cursor, bool) {
	if !c.isList() {
		c.problem("expected %s, found %s", want, c.found())
		return nil, false
	}
	items := make([]cursor, len(c.node.Content))
	for i, node := range c.node.Content {
		items[i] = c.at(node, fmt.Sprintf("%s[%d]", c.path, i))
	}
	return items, true
}

// word reads a scalar as text.
func (c cursor) word(want string) (string, bool) {
	if !c.isWord() {
		c.problem("expected %s, found %s", want, c.found())
		return "", false
	}
	return c.node.Value, true
}

// words reads one word or a list of them.
func (c cursor) words(want string) ([]cursor, bool) {
	if c.isWord() {
		return []cursor{c}, true
	}
	items, ok := c.list(want)
	if ok && len(items) == 0 {
		c.problem("expected %s, found an empty list", want)
		return nil, false
	}
	return items, ok
}

// integer reads a whole number from lo to hi.
func (c cursor) integer(lo, hi uint64) (uint64, bool) {
	want := fmt.Sprintf("a whole number from %d to %d", lo, hi)
	word, ok := c.word(want)
	if !ok {
		return 0, false
	}
	digits, base := word, 10
	if hex, isHex := strings.CutPrefix(word, "0x"); isHex {
		digits, base = hex, 16
	}
	if base == 10 && len(digits) > 1 && digits[0] == '0' {
		// YAML 1.1 reads 0254 as octal, YAML 1.2 as decimal, people as they like.
		c.problem("%q has a leading zero; expected %s", shorten(word), want)
		return 0, false
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil || n < lo || n > hi {
		c.problem("expected %s, found %q", want, shorten(word))
		return 0, false
	}
	return n, true
}

// boolean reads true or false.
func (c cursor) boolean() (value, ok bool) {
	const want = "true or false"
	word, ok := c.word(want)
	if !ok {
		return false, false
	}
	switch strings.ToLower(word) {
	case "true":
		return true, true
	case "false":
		return false, true
	case "yes", "on":
		c.problem("expected %s, found %q, did you mean true?", want, word)
	case "no", "off":
		c.problem("expected %s, found %q, did you mean false?", want, word)
	default:
		c.problem("expected %s, found %q", want, shorten(word))
	}
	return false, false
}

// duration reads a Go duration from lo to hi.
func (c cursor) duration(lo, hi time.Duration) (time.Duration, bool) {
	word, ok := c.word("a duration such as 1s or 200ms")
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(word)
	if err != nil && strings.Trim(word, "0123456789") == "" && word != "" {
		c.problem("duration %s has no unit, write %ss", shorten(word), shorten(word))
		return 0, false
	}
	if err != nil {
		c.problem("%q is not a duration such as 1s, 200ms or 1m30s", shorten(word))
		return 0, false
	}
	if d < lo || d > hi {
		c.problem("duration %s is out of range, expected %s to %s", shorten(word), plain(lo), plain(hi))
		return 0, false
	}
	return d, true
}

// plain writes a duration as people do: 1h, where Go writes 1h0m0s.
func plain(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// nameFault says why a word is no name; "" when it is one.
func nameFault(word string) string {
	const allowed = "a name has letters, digits, '.', '_' and '-'"
	switch {
	case word == "":
		return "a name cannot be empty"
	case len(word) > maxName:
		return fmt.Sprintf("a name has at most %d characters", maxName)
	case strings.IndexByte("._-", word[0]) >= 0:
		return "a name starts with a letter or digit"
	case strings.ContainsFunc(word, func(r rune) bool { return !isNameRune(r) }):
		return allowed
	}
	return ""
}

const maxName = 63

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
}

// fields is a mapping with a fixed set of keys.
type fields struct {
	cursor
	values map[string]entry
	meant  []string // the keys that unknown keys were probably meant to be
}

// fields reads a mapping of the given kind and notes the keys it does not
// have.
func (c cursor) fields(kind object, want string) (fields, bool) {
	known := kind.keys()
	all, ok := c.entries(want)
	f := fields{cursor: c, values: map[string]entry{}}
	for _, e := range all {
		switch {
		case slices.Contains(known, e.name):
			f.values[e.name] = e
		case slices.Contains(kind.planned(), e.name):
			e.key.unavailable(e.name)
			f.meant = append(f.meant, known...)
		default:
			e.key.unknown("key", shorten(e.name), known)
			f.meant = append(f.meant, Nearest(e.name, known)...)
		}
	}
	return f, ok
}

// missing notes that none of keys is given, unless one of them was probably
// meant by an unknown key: that is one fault, not two.
func (f fields) missing(keys []string, format string, args ...any) {
	for _, key := range keys {
		if slices.Contains(f.meant, key) {
			return
		}
	}
	f.problem(format, args...)
}

// get returns the value of a key that the file gives.
func (f fields) get(key string) (cursor, bool) {
	e, ok := f.values[key]
	return e.value, ok
}

// given returns which of keys the file gives, in that order.
func (f fields) given(keys ...string) []string {
	var given []string
	for _, key := range keys {
		if _, ok := f.values[key]; ok {
			given = append(given, key)
		}
	}
	return given
}

// set stores what read makes of a key's value. Without the key into keeps its
// default and set is true; it is false when the value is bad.
func set[T any](f fields, key string, into *T, read func(cursor) (T, bool)) bool {
	c, given := f.get(key)
	if !given {
		return true
	}
	value, ok := read(c)
	if ok {
		*into = value
	}
	return ok
}

// setInt stores a whole number from lo to hi.
func setInt[T int | uint8 | uint16 | uint32](f fields, key string, into *T, lo, hi uint64) bool {
	return set(f, key, into, func(c cursor) (T, bool) {
		n, ok := c.integer(lo, hi)
		return T(n), ok
	})
}

// setBool stores true or false.
func setBool(f fields, key string, into *bool) bool {
	return set(f, key, into, cursor.boolean)
}

// setDuration stores a duration from lo to hi.
func setDuration(f fields, key string, into *time.Duration, lo, hi time.Duration) bool {
	return set(f, key, into, func(c cursor) (time.Duration, bool) { return c.duration(lo, hi) })
}

// setChoice stores one of a few words.
func setChoice[T ~string](f fields, key string, into *T, words ...T) bool {
	return set(f, key, into, func(c cursor) (T, bool) { return choice(c, words...) })
}

// choice reads one of a few words.
func choice[T ~string](c cursor, words ...T) (T, bool) {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	want := "one of " + strings.Join(names, ", ")
	word, ok := c.word(want)
	if !ok {
		return "", false
	}
	if i := slices.Index(names, word); i >= 0 {
		return words[i], true
	}
	if near := Nearest(word, names); len(near) > 0 {
		c.problem("expected %s, found %q, did you mean %s?", want, word, strings.Join(near, " or "))
		return "", false
	}
	c.problem("expected %s, found %q", want, shorten(word))
	return "", false
}
