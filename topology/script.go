package topology

import "strings"

// Limits of a program's arguments.
const (
	maxArguments = 64
	maxArgument  = 4096
)

// readScript reads the path of a program, or a list of it and its arguments.
func readScript(c cursor) (*Script, bool) {
	const want = "a program's path, or a list of it and its arguments, such as [/usr/local/lib/check-ldap, -v]"
	items, ok := c.words(want)
	if len(items) > maxArguments {
		c.problem("a program has at most %d arguments", maxArguments-1)
		return nil, false
	}
	script := &Script{}
	for i, item := range items {
		var word string
		good := false
		if i == 0 {
			word, good = item.filePath()
		} else {
			word, good = readArgument(item)
		}
		script.Command = append(script.Command, word)
		ok = ok && good
	}
	return script, ok
}

func readArgument(c cursor) (string, bool) {
	word, ok := c.word("an argument")
	if ok && (len(word) > maxArgument || strings.ContainsRune(word, 0)) {
		c.problem("an argument has at most %d bytes, and none of them 0", maxArgument)
		return "", false
	}
	return word, ok
}
