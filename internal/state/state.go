// Package state keeps an operator's intent across restarts and reboots: which
// servers are drained and which VIPs are pinned, by whom, why, since when and
// until when; and what a guard must remember that a restart is no way round it.
// What is observed is never kept: routers are asked.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// version is written to the file; a file of another version is not guessed at.
const version = 1

// maxSize bounds what Load reads: a thousand times what a large site needs.
const maxSize = 16 << 20

type file struct {
	Version int `json:"version"`
	Intent
}

// Load reads the intent kept at path. A missing file is no intent. A file
// that cannot be understood is an error that wraps ErrUnreadable.
func Load(path string) (Intent, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Intent{}, nil
	}
	if err != nil {
		return Intent{}, fmt.Errorf("read operators' intent: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err != nil {
		return Intent{}, fmt.Errorf("read operators' intent: %w", err)
	}
	var content file
	if err := json.Unmarshal(data, &content); err != nil {
		return Intent{}, fmt.Errorf("%w: %s: %v", ErrUnreadable, path, err)
	}
	if content.Version != version {
		return Intent{}, fmt.Errorf("%w: %s: version %d, this routesteer writes %d", ErrUnreadable, path, content.Version, version)
	}
	return content.Intent, nil
}

// ErrUnreadable says that a file is there and holds no intent that can be
// understood.
var ErrUnreadable = errors.New("operators' intent is unreadable")

// Save keeps the intent at path; one caller at a time. When it returns nil, the intent survives a
// loss of power; when it does not, the former intent is still there, whole.
func Save(path string, intent Intent) error {
	data, err := json.MarshalIndent(file{version, intent}, "", "  ")
	if err != nil {
		return fmt.Errorf("keep operators' intent: %w", err)
	}
	if err := replace(path, append(data, '\n')); err != nil {
		return fmt.Errorf("keep operators' intent: %w", err)
	}
	return nil
}

// replace writes a new file beside the old one and renames it over.
func replace(path string, data []byte) (err error) {
	temporary, err := create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	_, err = temporary.Write(data)
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	if err = os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// create makes the new file, in place of one that a killed Save left.
func create(path string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// Writable says why Save would fail at path; nil if it is not known to.
func Writable(path string) error {
	f, err := create(path)
	if err != nil {
		return fmt.Errorf("keep operators' intent: %w", err)
	}
	_, err = f.Write(make([]byte, 4096)) // a full disk lets empty files be made
	err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	if err != nil {
		return fmt.Errorf("keep operators' intent: %w", err)
	}
	return nil
}

// syncDir makes a rename in dir durable. Its failure is reported though the
// new file is in place already: the caller must not promise what may be lost.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SetAside renames a file that cannot be understood out of the way, keeping it
// for a person to look at, and returns its new name.
func SetAside(path string, now time.Time) (string, error) {
	aside := fmt.Sprintf("%s.unreadable-%s", path, now.UTC().Format("20060102T150405Z"))
	if err := os.Rename(path, aside); err != nil {
		return "", fmt.Errorf("set unreadable intent aside: %w", err)
	}
	return aside, nil
}
