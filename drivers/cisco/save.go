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

// saveLimit bounds the saving of a configuration: some flash is slow.
const saveLimit = 2 * time.Minute

// A saver has a router's configuration saved when it is due. That it failed is a
// problem of its own, never one of a move.
type saver struct {
	when topology.Save
	mark string // file that says that something is to be saved; "" for none
	due  time.Time
	fail error // of the last attempt
}

// newSaver finds out whether an earlier process had something to save.
func newSaver(cfg topology.Cisco, directory, name string) saver {
	s := saver{when: cfg.Save}
	if directory == "" {
		return s
	}
	s.mark = filepath.Join(directory, name+".unsaved")
	if info, err := os.Stat(s.mark); err == nil {
		s.due = info.ModTime().Add(s.when.After)
	}
	return s
}

// wanted reports whether anything is ever saved.
func (s *saver) wanted() bool { return s.when != topology.Save{} }

// changed notes that the router is about to be changed.
func (s *saver) changed() {
	if !s.wanted() {
		return
	}
	s.due = time.Now().Add(s.when.After)
	if s.mark == "" {
		return
	}
	err := os.MkdirAll(filepath.Dir(s.mark), 0o700)
	if err == nil {
		err = os.WriteFile(s.mark, nil, 0o600)
	}
	if err != nil {
		s.fail = fmt.Errorf("a restart of routesteer may forget to save it: %w", err)
	}
}

// tend saves, if that is due. Its error is that of the dialogue.
func (s *saver) tend(ctx context.Context, session *session) error {
	if !s.wanted() || session.dialect.save == "" || s.due.IsZero() || time.Now().Before(s.due) {
		return nil
	}
	r, err := session.execWithin(ctx, max(session.cfg.Timeout, saveLimit), session.dialect.save)
	if err != nil {
		s.fail = err
		return err
	}
	if err := session.sync(ctx); err != nil {
		return err
	}
	s.settle(session, r)
	return nil
}

// settle takes the router's answer: no command says that it was done, but this
// one does.
func (s *saver) settle(session *session, r *reply) {
	switch {
	case r.asked != "":
		s.fail = fmt.Errorf("the router asks %q, which a person should answer: save it by hand once", r.asked)
	case session.dialect.saved.MatchString(r.text):
		s.fail, s.due = nil, time.Time{}
		if s.mark != "" {
			if err := os.Remove(s.mark); err != nil && !errors.Is(err, os.ErrNotExist) {
				s.fail = err
			}
		}
		return
	default:
		s.fail = fmt.Errorf("the router answers %q with %q", r.command, quote(strings.TrimSpace(r.text)))
	}
	s.due = time.Now().Add(max(s.when.After, time.Minute)) // not with every look
}

// problem is what an operator should know; "" for nothing.
func (s *saver) problem() string {
	if s.fail == nil {
		return ""
	}
	return "its configuration is not saved: " + s.fail.Error()
}
