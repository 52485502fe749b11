// Package support makes what is sent to somebody who helps: one archive of what
// is known of a site, without its secrets.
package support

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Redacted stands where a secret was.
const Redacted = "REDACTED"

// telling are keys under which a word may be a secret, though the file is meant
// to hold none: request headers, what programs are called with, and whatever
// is called like one. A reference to a secret says only where it is.
var (
	telling   = regexp.MustCompile(`(?i)^(headers|send|script|exec|command|cookie|authorization|(.*[_-])?(community|password|passwd|passphrase|secret|token|tokens|key|auth))$`)
	reference = []string{"file", "env", "credential"}
	located   = regexp.MustCompile(`(?i)^(url|webhook|path)$`)
)

// Redact returns a configuration without its secrets and comments, and the
// secrets, so that they can be scrubbed elsewhere. What stands openly in the file
// besides, as a server's name does that a program is called with, is none. It
// fails if the text is no YAML.
func Redact(config []byte) (clean []byte, secrets []string, err error) {
	var document yaml.Node
	if err := yaml.Unmarshal(config, &document); err != nil {
		return nil, nil, fmt.Errorf("leave out a configuration that cannot be read, and may hold secrets anywhere: %w", err)
	}
	r := &redaction{}
	r.walk(&document, false)
	clean, err = yaml.Marshal(&document)
	return clean, slices.DeleteFunc(r.secrets, func(s string) bool { return strings.Contains(string(clean), s) }), err
}

type redaction struct{ secrets []string }

// walk redacts a value and what is in it. secret says that words here may be
// secrets.
func (r *redaction) walk(node *yaml.Node, secret bool) {
	node.HeadComment, node.LineComment, node.FootComment = "", "", ""
	switch node.Kind {
	case yaml.MappingNode:
		r.mapping(node, secret)
	case yaml.ScalarNode:
		if secret {
			r.take(node, node.Value, Redacted)
		} else {
			r.address(node)
		}
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, child := range node.Content {
			r.walk(child, secret)
		}
	case yaml.AliasNode: // what it stands for is elsewhere
	}
}

func (r *redaction) mapping(node *yaml.Node, secret bool) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		key.HeadComment, key.LineComment, key.FootComment = "", "", ""
		switch {
		case secret && slices.Contains(reference, key.Value):
			r.walk(value, false)
		case key.Value == "script" || key.Value == "exec" || key.Value == "command":
			r.program(value)
		case located.MatchString(key.Value) && value.Kind == yaml.ScalarNode:
			r.place(value, strings.EqualFold(key.Value, "path"))
		default:
			r.walk(value, secret || telling.MatchString(key.Value))
		}
	}
}

// program leaves the path of a program and its options, and takes its arguments.
func (r *redaction) program(node *yaml.Node) {
	if node.Kind != yaml.SequenceNode {
		r.walk(node, false)
		return
	}
	for i, argument := range node.Content {
		option := strings.HasPrefix(argument.Value, "-") && !strings.Contains(argument.Value, "=")
		r.walk(argument, i > 0 && !option)
	}
}

// address takes the password and the query of a URL that stands anywhere.
func (r *redaction) address(node *yaml.Node) {
	if strings.Contains(node.Value, "://") {
		r.place(node, false)
	}
}

// place leaves of a URL where it leads: the words of its path are secrets as
// often as its query's are (Slack's are). Of a check's path the query goes.
func (r *redaction) place(node *yaml.Node, keepPath bool) {
	u, err := url.Parse(node.Value)
	if err != nil {
		r.take(node, node.Value, Redacted)
		return
	}
	if password, has := u.User.Password(); has {
		r.add(password)
	}
	if keepPath {
		if u.RawQuery != "" {
			r.add(u.RawQuery)
			node.Value = u.EscapedPath() + "?" + Redacted
		}
		return
	}
	if u.Host == "" {
		return
	}
	r.take(node, node.Value, u.Scheme+"://"+u.Host+"/"+Redacted)
	r.add(strings.TrimPrefix(u.RequestURI(), "/"))
}

func (r *redaction) take(node *yaml.Node, secret, instead string) {
	r.add(secret)
	node.SetString(instead)
}

// leastSecret is how long a word is that can be a secret. Shorter ones, such as
// "on", are everywhere.
const leastSecret = 4

// add keeps a secret, and its words: "Bearer abc" is abc elsewhere.
func (r *redaction) add(secret string) {
	for _, word := range append(strings.FieldsFunc(secret, func(c rune) bool { return strings.ContainsRune(" \t\n=&", c) }), secret) {
		if len(word) >= leastSecret && !slices.Contains(r.secrets, word) {
			r.secrets = append(r.secrets, word)
		}
	}
}

// Scrub takes secrets out of any text. Longer ones go first, so that no part
// of one stays.
func Scrub(text []byte, secrets []string) []byte {
	longest := slices.SortedFunc(slices.Values(secrets), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	pairs := make([]string, 0, 2*len(longest))
	for _, secret := range longest {
		pairs = append(pairs, secret, Redacted)
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(text)))
}
