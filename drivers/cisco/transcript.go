package cisco

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	maxTranscript = 1 << 20 // bytes of one file, before it is put aside
	oldTranscript = 4       // files that were put aside
	maxShown      = 16      // lines of one answer that are kept, beginning and end
	secretShown   = "(secret)"
)

// A transcript is what was typed on a router and what it answered, in a file
// that its owner alone can read. Secrets are not in it.
type transcript struct {
	path    string // of the file; "" if none is kept
	out     io.WriteCloser
	size    int64 // of the file, in bytes
	secrets []string
	err     error // the first failure to write: a full disk must not stop a move
}

// openTranscript begins the transcript of a session in DIRECTORY/NAME.log;
// without a directory none is kept.
func openTranscript(directory, name string) (*transcript, error) {
	if directory == "" {
		return &transcript{}, nil
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return &transcript{}, fmt.Errorf("keep a transcript: %w", err)
	}
	t := &transcript{path: filepath.Join(directory, name+".log")}
	if err := t.open(); err != nil {
		return &transcript{}, fmt.Errorf("keep a transcript: %w", err)
	}
	return t, nil
}

// open opens the file, after one that is full has been put aside.
func (t *transcript) open() error {
	if err := rotate(t.path); err != nil {
		return err
	}
	file, err := os.OpenFile(t.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	t.out, t.size = file, info.Size()
	return nil
}

// rotate puts a file that is full aside: path.1 is the latest, and the oldest
// goes.
func rotate(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || info.Size() < maxTranscript {
		return err
	}
	for i := oldTranscript; i > 0; i-- {
		from := path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", path, i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// hide keeps a secret out of all that follows.
func (t *transcript) hide(secret string) {
	if secret != "" {
		t.secrets = append(t.secrets, secret)
	}
}

// redact returns text without the secrets.
func (t *transcript) redact(text string) string {
	for _, secret := range t.secrets {
		text = strings.ReplaceAll(text, secret, secretShown)
	}
	return text
}

// confided is what stands before a secret in a router's configuration, which
// FRR is asked for as a whole.
var confided = regexp.MustCompile(`(?i)\b(password|secret|passphrase|community|key|key-string|md5)\s+\S.*`)

// discreet is a line of a router's without the secret that it holds. Complaints
// hold none.
func discreet(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), "%") {
		return line
	}
	return confided.ReplaceAllString(line, "$1 "+secretShown)
}

// note writes what happened.
func (t *transcript) note(format string, args ...any) { t.write("--", fmt.Sprintf(format, args...)) }

// typed writes what was typed.
func (t *transcript) typed(text string) { t.write(">>", text) }

// answered writes what the router said, shortened in the middle.
func (t *transcript) answered(text string) {
	lines := strings.Split(strings.Trim(text, "\r\n"), "\n")
	if cut := len(lines) - maxShown; cut > 0 {
		half := maxShown / 2
		lines = append(append(lines[:half:half], fmt.Sprintf("(%d lines)", cut)), lines[half+cut:]...)
	}
	for _, line := range lines {
		if line = strings.TrimRight(visible(line), " \t"); line != "" {
			t.write("<<", discreet(line))
		}
	}
}

func (t *transcript) write(mark, text string) {
	if t.out == nil || t.err != nil {
		return
	}
	stamp := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	n, err := fmt.Fprintf(t.out, "%s %s %s\n", stamp, mark, t.redact(text))
	t.size, t.err = t.size+int64(n), err
	if t.err == nil && t.size >= maxTranscript { // a session may be kept for months
		t.err = t.again()
	}
}

// again goes on in a new file.
func (t *transcript) again() error {
	err := t.out.Close()
	t.out = nil
	return errors.Join(err, t.open())
}

// close ends the transcript, and returns the first failure to write it.
func (t *transcript) close() error {
	err := t.err
	if t.out != nil {
		err = errors.Join(err, t.out.Close())
	}
	if err != nil {
		return fmt.Errorf("keep a transcript: %w", err)
	}
	return nil
}
