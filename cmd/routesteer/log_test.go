package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/routesteer/routesteer/internal/journal"
)

// What goes to systemd's journal has priorities that `journalctl -p` knows, and not
// the time twice.
func TestTheJournalGetsPriorities(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	info, err := write.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
	a := &app{stderr: write}
	log, err := a.newLog(&runFlags{logFormat: "text"})
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("unheard")
	log.Info("verdict", "server", "web1")
	log.With("router", "edge").Log(context.Background(), journal.LevelNotice, "admin")
	log.WithGroup("of").Warn("router", "time", "kept")
	log.Error("assignment")
	write.Close()
	got, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	want := "<6>msg=verdict server=web1\n<5>msg=admin router=edge\n<4>msg=router of.time=kept\n<3>msg=assignment\n"
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Elsewhere lines carry time and level, whatever JOURNAL_STREAM says of another file.
func TestALogThatIsNotTheJournalTellsTheTime(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "1:2")
	var out bytes.Buffer
	a := &app{stderr: &out}
	for _, format := range []string{"text", "json"} {
		log, err := a.newLog(&runFlags{logFormat: format, logLevel: slog.LevelInfo})
		if err != nil {
			t.Fatal(err)
		}
		log.Log(context.Background(), journal.LevelNotice, "admin")
	}
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(line, "time") || !strings.Contains(line, "NOTICE") {
			t.Errorf("got %s", line)
		}
	}
}
