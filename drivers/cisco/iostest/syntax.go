package iostest

import (
	"strings"
)

// A token is a word of a line, and the column where it begins.
type token struct {
	text string
	at   int
}

// split cuts a line into words.
func split(line string) []token {
	var tokens []token
	start := -1
	for i := 0; i <= len(line); i++ {
		blank := i == len(line) || line[i] == ' ' || line[i] == '\t'
		switch {
		case blank && start >= 0:
			tokens = append(tokens, token{line[start:i], start})
			start = -1
		case !blank && start < 0:
			start = i
		}
	}
	return tokens
}

// kind is what is wrong with a line.
type kind int

const (
	invalid kind = iota
	incomplete
	ambiguous
	refused // for another reason than its syntax
)

// A syntaxError is why a line is not executed.
type syntaxError struct {
	kind kind
	at   int    // column, of invalid
	text string // of refused
}

func (e *syntaxError) Error() string { return e.text }

func refuse(text string) error { return &syntaxError{kind: refused, text: text} }

// matches tells which choices a word stands for: itself, or all that it begins.
func matches(word string, choices []string) []string {
	word = strings.ToLower(word)
	var found []string
	for _, choice := range choices {
		if choice == word {
			return []string{choice}
		}
		if strings.HasPrefix(choice, word) {
			found = append(found, choice)
		}
	}
	return found
}

// choose resolves an abbreviation.
func choose(t token, choices []string) (string, error) {
	switch found := matches(t.text, choices); len(found) {
	case 0:
		return "", &syntaxError{kind: invalid, at: t.at}
	case 1:
		return found[0], nil
	default:
		return "", &syntaxError{kind: ambiguous}
	}
}

// A command is one that a mode knows.
type command struct {
	// words are its keywords; the last may be "…", which stands for any words,
	// also none.
	words string
	run   func(s *session, in input) error // nil: known, and not for this fake
}

// An input is what a command is run with.
type input struct {
	line  string  // as typed
	rest  []token // behind the keywords
	start int     // of the text behind the keywords
}

// text is what stands behind the keywords.
func (in input) text() string { return strings.TrimSpace(in.line[in.start:]) }

// nothing fails if there is more than the keywords.
func (in input) nothing() error {
	if len(in.rest) > 0 {
		return &syntaxError{kind: invalid, at: in.rest[0].at}
	}
	return nil
}

// find resolves a line among commands, keyword by keyword.
func find(line string, commands []command) (*command, input, error) {
	tokens := split(line)
	left := commands
	for i := 0; ; i++ {
		if done := ending(left, i); done != nil {
			return done, rest(line, tokens, i), nil
		}
		if i == len(tokens) {
			return finish(line, tokens, left, i)
		}
		word, err := choose(tokens[i], keywords(left, i))
		if err != nil {
			if open := openEnd(left, i); open != nil {
				return open, rest(line, tokens, i), nil
			}
			return whole(line, tokens, left, i, err)
		}
		left = with(left, i, word)
	}
}

// whole takes the command that is complete before word i, which is then what
// is wrong with the line; else the word is.
func whole(line string, tokens []token, left []command, i int, err error) (*command, input, error) {
	if found, in, ok := finish(line, tokens, left, i); ok == nil {
		return found, in, nil
	}
	return nil, input{}, err
}

// finish takes the command that has no more keywords.
func finish(line string, tokens []token, left []command, i int) (*command, input, error) {
	for n := range left {
		words := strings.Fields(left[n].words)
		if len(words) == i || len(words) == i+1 && words[i] == "…" {
			return &left[n], rest(line, tokens, i), nil
		}
	}
	return nil, input{}, &syntaxError{kind: incomplete}
}

// ending returns the only command left, if all its keywords are read.
func ending(left []command, i int) *command {
	if len(left) != 1 {
		return nil
	}
	words := strings.Fields(left[0].words)
	if len(words) == i || words[i] == "…" {
		return &left[0]
	}
	return nil
}

// openEnd returns the command that takes any words from the ith.
func openEnd(left []command, i int) *command {
	for n := range left {
		if words := strings.Fields(left[n].words); len(words) > i && words[i] == "…" {
			return &left[n]
		}
	}
	return nil
}

func rest(line string, tokens []token, i int) input {
	in := input{line: line, rest: tokens[i:], start: len(line)}
	if i < len(tokens) {
		in.start = tokens[i].at
	}
	return in
}

// keywords returns the ith keywords of commands, each once.
func keywords(commands []command, i int) []string {
	seen := map[string]bool{}
	var all []string
	for _, c := range commands {
		words := strings.Fields(c.words)
		if len(words) > i && words[i] != "…" && !seen[words[i]] {
			seen[words[i]] = true
			all = append(all, words[i])
		}
	}
	return all
}

// with returns the commands whose ith keyword is word.
func with(commands []command, i int, word string) []command {
	var left []command
	for _, c := range commands {
		if words := strings.Fields(c.words); len(words) > i && words[i] == word {
			left = append(left, c)
		}
	}
	return left
}
