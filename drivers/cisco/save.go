package cisco

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/routesteer/routesteer/topology"
)

const (
	saveLimit = 2 * time.Minute // to save a configuration: some flash is slow
	saveRetry = 5 * time.Minute // after a failure, so that a full flash is not written at each look
)

// A saver knows when a router is to save its configuration. That it failed is a
// problem of its own, never one of a move.
type saver struct {
	when    topology.Save
	mark    string    // file that says that something is to be saved; "" for none
	changed time.Time // last; zero if nothing is to be saved
	due     time.Time // zero until the change has been read back
	fail    error     // of the last attempt
}

// newSaver finds out whether an earlier process had something to save.
func newSaver(cfg topology.Cisco, directory, name string) saver {
	s := saver{when: cfg.Save}
	if directory == "" || s.when == (topology.Save{}) {
		return s
	}
	s.mark = filepath.Join(directory, name+".unsaved")
	if info, err := os.Stat(s.mark); err == nil {
		s.changed = info.ModTime()
	}
	return s
}

// touch notes that the router is about to be changed.
func (s *saver) touch(now time.Time) {
	if s.when == (topology.Save{}) {
		return
	}
	s.changed, s.due = now, time.Time{}
	if s.mark == "" {
		return
	}
	err := os.MkdirAll(filepath.Dir(s.mark), 0o700)
	if err == nil {
		err = os.WriteFile(s.mark, nil, 0o600)
	}
	if err != nil {
		s.fail = fmt.Errorf("a restart of routesteer may forget it: %w", err)
	}
}

// seen notes that the router was read back: what is there may be saved.
func (s *saver) seen() {
	if !s.changed.IsZero() && s.due.IsZero() {
		s.due = s.changed.Add(s.when.After)
	}
}

// save has the router save. It returns an error only when the dialogue is over.
func (s *saver) save(ctx context.Context, session *session) error {
	command := session.dialect.save
	if command == "" { // what is committed is kept
		return s.done()
	}
	r, err := session.execWithin(ctx, max(session.cfg.Timeout, saveLimit), command)
	if err == nil {
		err = session.sync(ctx)
	}
	switch {
	case ctx.Err() != nil: // a move is more urgent; the router goes on by itself
		return err
	case err != nil:
		s.failed(err)
		return err
	case r.asked != "":
		s.failed(fmt.Errorf("the router asks %q, which a person should answer: save it by hand once", r.asked))
	case session.dialect.saved.MatchString(r.text):
		return s.done()
	default:
		s.failed(fmt.Errorf("the router answers %q with %q", command, quote(strings.TrimSpace(r.text))))
	}
	return nil
}

// done notes that nothing is left to save.
func (s *saver) done() error {
	s.changed, s.due, s.fail = time.Time{}, time.Time{}, nil
	if s.mark == "" {
		return nil
	}
	if err := os.Remove(s.mark); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.fail = err
	}
	return nil
}

func (s *saver) failed(err error) {
	s.fail = err
	s.due = time.Now().Add(saveRetry)
}

// problem is what an operator should know; "" for nothing.
func (s *saver) problem() string {
	if s.fail == nil {
		return ""
	}
	return "its configuration is not saved: " + s.fail.Error()
}
