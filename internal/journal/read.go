package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/routesteer/routesteer/api"
)

const (
	// maxLine is the longest line that is read: an event's texts, each character of
	// which may take six bytes, fit in it.
	maxLine = 256 << 10
	// tail is how much of the file's end is read at a start: enough for size events.
	tail = 2 << 20
)

// former is the name of the file that was full.
func former(path string) string { return path + ".1" }

// Open returns a Journal that goes on where the file at path ended, which may be
// missing, or damaged: what is no event in it is passed over. Keep writes to it. A file
// that cannot be read is trouble, and no reason not to steer.
func Open(path string) *Journal {
	j := New()
	if path == "" {
		return j
	}
	j.path = path
	last := uint64(0)
	keep := func(event api.Event) bool {
		j.ring = append(j.ring, event)
		last = event.Seq
		return true
	}
	var err, err2 error
	if info, missing := os.Stat(path); missing != nil || info.Size() < tail { // it is not enough
		_, err = readEnd(former(path), tail, 0, keep)
	}
	_, err2 = readEnd(path, tail, last, keep)
	if err = errors.Join(err, err2); err != nil {
		j.trouble = "read events: " + err.Error()
	}
	j.ring = append([]api.Event(nil), j.ring[max(0, len(j.ring)-size):]...)
	j.from, j.next = last+1, last+1
	return j
}

// older yields the events in the file after since and before the number before.
func (j *Journal) older(since, before uint64, yield func(api.Event) bool) {
	if j.path == "" {
		return
	}
	within := func(event api.Event) bool {
		if event.Seq < before {
			since = event.Seq
			return yield(event)
		}
		return false
	}
	// What cannot be read is told by Trouble, when it is to be written, and a gap here.
	if more, _ := readEnd(former(j.path), 2*limit, since, within); more {
		_, _ = readEnd(j.path, 2*limit, since, within)
	}
}

// readEnd yields the events after a number in the last bytes of a file, as scan does.
// One that is missing has none.
func readEnd(path string, bytes int64, after uint64, yield func(api.Event) bool) (more bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > bytes {
		if _, err := f.Seek(-bytes, io.SeekEnd); err != nil {
			return true, err
		}
	}
	return scan(io.LimitReader(f, bytes), after, yield)
}

// scan yields the events of a file, a JSON object a line, whose numbers are later than
// after and each later than the one before, until yield says that it has enough. Lines
// that are no event, are too long, or were torn, are passed over.
func scan(r io.Reader, after uint64, yield func(api.Event) bool) (more bool, err error) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if err = skipLine(lines); err == nil {
				continue
			}
		}
		if err != nil { // what is left is torn
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return true, err
		}
		event, ok := parse(line)
		if !ok || event.Seq <= after {
			continue
		}
		after = event.Seq
		if !yield(event) {
			return false, nil
		}
	}
}

func skipLine(lines *bufio.Reader) error {
	for {
		if _, err := lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// parse reads one line. A number near the end of all numbers is damage.
func parse(line []byte) (event api.Event, ok bool) {
	err := json.Unmarshal(line, &event)
	return event, err == nil && event.Seq > 0 && event.Seq < 1<<62 && event.Kind != "" && !event.Time.IsZero()
}
