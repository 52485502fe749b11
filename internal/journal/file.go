package journal

import (
	"errors"
	"io"
	"os"
)

const (
	// limit is the size at which a file of events is full. Another one is begun then, and
	// the one before the last is removed: there are never more than two.
	limit = 8 << 20
	// mode lets a group read what happened, and nobody else.
	mode = 0o640
)

// A file is where events are kept. It is used by one goroutine.
type file struct {
	path string
	f    *os.File // nil while it is not open
	size int64
	torn bool // it does not end with a whole line
}

// append writes whole lines: all of them or, with an error, none that a reader would
// take for one.
func (k *file) append(lines []byte) error {
	if err := k.ready(); err != nil {
		return err
	}
	if k.torn {
		lines = append([]byte{'\n'}, lines...)
	}
	n, err := k.f.Write(lines)
	if err == nil {
		k.size, k.torn = k.size+int64(n), false
		return nil
	}
	if n > 0 && k.f.Truncate(k.size) != nil { // the next line begins with a line's end then
		k.size, k.torn = k.size+int64(n), true
	}
	return errors.Join(err, k.close())
}

// ready makes sure that the file is open, that it is the one at path, and that it is
// not full.
func (k *file) ready() error {
	if k.f != nil && !k.isAtPath() { // somebody has moved or removed it
		if err := k.close(); err != nil {
			return err
		}
	}
	if k.f == nil {
		if err := k.open(); err != nil {
			return err
		}
	}
	if k.size < limit {
		return nil
	}
	if err := errors.Join(k.f.Sync(), k.close(), os.Rename(k.path, former(k.path))); err != nil {
		return err
	}
	return k.open()
}

func (k *file) isAtPath() bool {
	ours, err := k.f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(k.path)
	return err == nil && os.SameFile(ours, there)
}

func (k *file) open() error {
	f, err := os.OpenFile(k.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, mode)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	end := []byte{'\n'}
	if size > 0 {
		if _, err := f.ReadAt(end, size-1); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	k.f, k.size, k.torn = f, size, end[0] != '\n'
	return nil
}

// sync makes what was written survive a loss of power.
func (k *file) sync() error {
	if k.f == nil {
		return nil
	}
	return k.f.Sync()
}

func (k *file) close() error {
	if k.f == nil {
		return nil
	}
	err := k.f.Close()
	k.f = nil
	return err
}
