package topology

import "strings"

// A Secret says where a secret is. The file never holds one itself, so that
// it can be shown, mailed and kept in a repository. Exactly one field is set;
// the zero Secret is none.
type Secret struct {
	File       string // path of a file that nobody but its owner and group may read
	Env        string // name of an environment variable
	Credential string // name of a systemd credential (LoadCredential=, systemd.exec(5))
}

// readSecret reads {file: PATH}, {env: NAME} or {credential: NAME}.
func readSecret(c cursor) (Secret, bool) {
	secret, _, ok := readSecretOf(c, secretObject)
	return secret, ok
}

// readSecretOf reads a mapping that has, among others, one key of a secret.
func readSecretOf(c cursor, kind object) (Secret, fields, bool) {
	const want = "one of {file: PATH}, {env: NAME}, {credential: NAME}"
	var secret Secret
	if c.isWord() || c.isList() {
		c.unshown("a secret has no place in this file: expected %s", want)
		return secret, fields{}, false
	}
	f, ok := c.fields(kind, want)
	if !ok {
		return secret, f, false
	}
	if given := f.given(secretObject.keys()...); len(given) != 1 {
		f.missing(secretObject.keys(), "expected %s, found %d of them", want, len(given))
		return secret, f, false
	}
	ok = set(f, "file", &secret.File, cursor.filePath)
	ok = set(f, "env", &secret.Env, cursor.plainWord) && ok
	return secret, f, set(f, "credential", &secret.Credential, cursor.plainWord) && ok
}

// filePath reads an absolute path.
func (c cursor) filePath() (string, bool) {
	const want = "an absolute path"
	word, ok := c.word(want)
	if ok && (!strings.HasPrefix(word, "/") || strings.ContainsRune(word, 0)) {
		c.problem("expected %s, found %q", want, shorten(word))
		return "", false
	}
	return word, ok
}

// plainWord reads a word of letters, digits, '.', '_' and '-'.
func (c cursor) plainWord() (string, bool) {
	word, ok := c.word("a name")
	if !ok {
		return "", false
	}
	if fault := nameFault(word); fault != "" && !strings.HasPrefix(word, "_") {
		c.problem("%q is no name: %s", shorten(word), fault)
		return "", false
	}
	return word, true
}
