package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/routesteer/routesteer/internal/journal"
)

// newLog is the log that run writes to stderr: as text or JSON or, where stderr
// leads to systemd's journal, as that wants it.
func (a *app) newLog(flags *runFlags) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: flags.logLevel, ReplaceAttr: nameNotice}
	switch flags.logFormat {
	case "text":
		if leadsToJournal(a.stderr, os.Getenv("JOURNAL_STREAM")) {
			return slog.New(newJournalHandler(a.stderr, flags.logLevel)), nil
		}
		return slog.New(slog.NewTextHandler(a.stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.stderr, options)), nil
	default:
		return nil, fmt.Errorf("--log-format is %q: want text or json", flags.logFormat)
	}
}

// nameNotice gives the level between info and warn its name.
func nameNotice(groups []string, a slog.Attr) slog.Attr {
	if level, is := a.Value.Any().(slog.Level); is && a.Key == slog.LevelKey && len(groups) == 0 && level == journal.LevelNotice {
		return slog.String(slog.LevelKey, "NOTICE")
	}
	return a
}

// leadsToJournal reports whether a file is the stream that systemd names in
// JOURNAL_STREAM, by device and inode (systemd.exec(5)).
func leadsToJournal(w io.Writer, stream string) bool {
	file, is := w.(*os.File)
	if !is || stream == "" {
		return false
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return false
	}
	return stream == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// A journalHandler writes lines that begin with their priority (sd-daemon(3)), and
// leaves out the time, which the journal keeps itself.
type journalHandler struct {
	inner slog.Handler // writes to sink.line
	sink  *journalSink
}

// A journalSink is shared by a handler and those that were made of it.
type journalSink struct {
	mu   sync.Mutex
	line bytes.Buffer
	out  io.Writer
}

func newJournalHandler(out io.Writer, level slog.Level) *journalHandler {
	sink := &journalSink{out: out}
	bare := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	return &journalHandler{slog.NewTextHandler(&sink.line, &slog.HandlerOptions{Level: level, ReplaceAttr: bare}), sink}
}

// Enabled implements slog.Handler.
func (h *journalHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *journalHandler) Handle(ctx context.Context, record slog.Record) error {
	h.sink.mu.Lock()
	defer h.sink.mu.Unlock()
	h.sink.line.Reset()
	fmt.Fprintf(&h.sink.line, "<%d>", priority(record.Level))
	if err := h.inner.Handle(ctx, record); err != nil {
		return err
	}
	_, err := h.sink.out.Write(h.sink.line.Bytes())
	return err
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{h.inner.WithAttrs(attrs), h.sink}
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{h.inner.WithGroup(name), h.sink}
}

// priority is a level as syslog(3) counts.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= journal.LevelNotice:
		return 5
	case level >= slog.LevelInfo:
		return 6
	default:
		return 7
	}
}
