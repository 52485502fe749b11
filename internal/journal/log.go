package journal

import (
	"context"
	"log/slog"

	"github.com/routesteer/routesteer/api"
)

// WriteTo writes every event from now on to the log, one line each, in a goroutine of
// its own: whoever reads the log may be slow, or stuck, and steering must not be.
// The function it returns writes what is left, and ends it.
func (j *Journal) WriteTo(log *slog.Logger) (stop func()) {
	return inBackground(func(ctx context.Context) {
		last := j.from - 1
		for _, once := range []bool{false, true} {
			for event := range j.follow(ctx, last, once) {
				write(log, event)
				last = event.Seq
			}
		}
	})
}

// write writes an event to the log with the time at which it happened.
func write(log *slog.Logger, event api.Event) {
	ctx, level := context.Background(), level(event.Severity)
	if !log.Enabled(ctx, level) {
		return
	}
	record := slog.NewRecord(event.Time, level, event.Kind, 0)
	for _, a := range []struct{ key, value string }{
		{"server", event.Server}, {"prefix", event.VIP}, {"router", event.Router},
		{"from", event.From}, {"to", event.To}, {"by", event.By}, {"cause", event.Cause}, {"reason", event.Reason},
	} {
		if a.value != "" {
			record.AddAttrs(slog.String(a.key, a.value))
		}
	}
	if event.VIPs > 0 {
		record.AddAttrs(slog.Int("prefixes", event.VIPs))
	}
	if event.TookMs > 0 {
		record.AddAttrs(slog.Float64("took_ms", event.TookMs))
	}
	if event.LastedMs > 0 {
		record.AddAttrs(slog.Int64("lasted_ms", event.LastedMs))
	}
	_ = log.Handler().Handle(ctx, record) // as slog's own methods do: a log that cannot be written cannot be told of
}

// LevelNotice is the level of events that somebody may want to know of: between info
// and warn.
const LevelNotice = slog.LevelInfo + 2

// level is a severity as slog has it. What is critical is an error.
func level(severity string) slog.Level {
	switch severity {
	case api.CriticalSeverity:
		return slog.LevelError
	case api.WarningSeverity:
		return slog.LevelWarn
	case api.NoticeSeverity:
		return LevelNotice
	default:
		return slog.LevelInfo
	}
}
