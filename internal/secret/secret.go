// Package secret reads secrets from where the site's file says they are.
package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/routesteer/routesteer/topology"
)

// maxSize bounds a secret, in bytes.
const maxSize = 4096

// worldAccess are the permissions of everybody.
const worldAccess = 0o007

// Read returns a secret, without the line break at its end; "" for the zero
// Secret. Errors name the place and never hold what was found there. It is read
// anew each time, so that a new secret needs no restart, but for the
// environment, which a process cannot be given anew.
func Read(s topology.Secret) (string, error) {
	switch {
	case s.File != "":
		return readFile(s.File)
	case s.Env != "":
		return readEnv(s.Env)
	case s.Credential != "":
		return readCredential(s.Credential)
	default:
		return "", nil
	}
}

func readEnv(name string) (string, error) {
	value, set := os.LookupEnv(name)
	if !set {
		return "", fmt.Errorf("read a secret: the environment has no variable %s", name)
	}
	return clean(value, "environment variable "+name)
}

// readCredential reads a credential that systemd passed on, which is in a
// directory of this service alone: systemd.exec(5), Credentials.
func readCredential(name string) (string, error) {
	directory := os.Getenv("CREDENTIALS_DIRECTORY")
	if directory == "" {
		return "", fmt.Errorf("read credential %s: systemd has passed on none; the unit needs LoadCredential=%s:PATH", name, name)
	}
	return readFile(filepath.Join(directory, name))
}

func readFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	if mode := info.Mode(); mode.Perm()&worldAccess != 0 {
		return "", fmt.Errorf("read a secret: everybody has access to %s (mode %04o): chmod o= %[1]s", path, mode.Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	return clean(string(text), path)
}

// clean takes the line break off a secret that came from a place.
func clean(text, place string) (string, error) {
	if len(text) > maxSize {
		return "", errors.New("read a secret: " + place + " holds more than a secret is long")
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	switch {
	case text == "":
		return "", errors.New("read a secret: " + place + " is empty")
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", errors.New("read a secret: " + place + " holds more than one line")
	}
	return text, nil
}
