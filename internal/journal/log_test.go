package journal

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/routesteer/routesteer/api"
)

// A recorder is a log that remembers.
type recorder struct {
	slog.Handler
	mu      sync.Mutex
	records []slog.Record
}

func (r *recorder) logger() *slog.Logger { return slog.New(r) }

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }

func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
	return nil
}

func TestTheLogsLevelsAreTheSeverities(t *testing.T) {
	j, log := New(), &recorder{}
	stop := j.WriteTo(log.logger())
	for _, severity := range api.Severities() {
		j.Record(api.Event{Kind: api.AdminEvent, Severity: severity})
	}
	stop()
	want := []slog.Level{slog.LevelInfo, LevelNotice, slog.LevelWarn, slog.LevelError}
	for i, record := range log.records {
		if record.Level != want[i] {
			t.Errorf("%s is logged at %s", api.Severities()[i], record.Level)
		}
	}
	if len(log.records) != len(want) {
		t.Errorf("got %d lines", len(log.records))
	}
}
