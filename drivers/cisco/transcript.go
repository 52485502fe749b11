package cisco

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	out     io.WriteCloser
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
	path := filepath.Join(directory, name+".log")
	if err := rotate(path); err != nil {
		return &transcript{}, fmt.Errorf("keep a transcript: %w", err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return &transcript{}, fmt.Errorf("keep a transcript: %w", err)
	}
	return &transcript{out: file}, nil
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
			t.write("<<", line)
		}
	}
}

func (t *transcript) write(mark, text string) {
	if t.out == nil || t.err != nil {
		return
	}
	stamp := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	_, t.err = fmt.Fprintf(t.out, "%s %s %s\n", stamp, mark, t.redact(text))
}

// close ends the transcript, and returns the first failure to write it.
func (t *transcript) close() error {
	if t.out == nil {
		return nil
	}
	if err := errors.Join(t.err, t.out.Close()); err != nil {
		return fmt.Errorf("keep a transcript: %w", err)
	}
	return nil
}
