package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/routesteer/routesteer/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// note records n events about servers 1 to n.
func note(j *Journal, n int) {
	for i := range n {
		j.Record(api.Event{Kind: api.AdminEvent, Server: fmt.Sprint("web", i+1)})
	}
}

// kept are the sequence numbers of the events that the query asks for.
func kept(t *testing.T, j *Journal, query Query) []uint64 {
	t.Helper()
	var seqs []uint64
	for event, err := range j.Events(t.Context(), query) {
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, event.Seq)
	}
	return seqs
}

// writeAll writes what was recorded to the file.
func writeAll(j *Journal) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	newKeeper(j).run(ended)
}

// run keeps n events at path, as a controller does that runs and stops.
func run(path string, n int) *Journal {
	j := Open(path)
	note(j, n)
	writeAll(j)
	return j
}

func TestARestartGoesOnWithTheNumbersAndReachesBeforeItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	run(path, 3)
	j := run(path, 2)
	if got, want := kept(t, j, Query{Since: 1}), []uint64{2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v, want a file of mode 0640", info.Mode(), err)
	}
}

func TestWhatIsNotInMemoryIsReadFromTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	run(path, size)
	run(path, size)
	j := run(path, 1)
	all := kept(t, j, Query{})
	if len(all) != 2*size+1 || all[0] != 1 || !slices.IsSorted(all) {
		t.Errorf("got %d events from %d on", len(all), all[0])
	}
	about := func(event api.Event) bool { return event.Server == "web1" }
	if got, want := kept(t, j, Query{Admit: about, Last: 2}), []uint64{size + 1, 2*size + 1}; !slices.Equal(got, want) {
		t.Errorf("the last two about web1 are %v, want %v", got, want)
	}
}

func TestTheLogIsNotToldOfFormerLives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	run(path, 3)
	j := Open(path)
	log := &recorder{}
	stop := j.WriteTo(log.logger())
	note(j, 1)
	stop()
	if len(log.records) != 1 {
		t.Errorf("got %d lines, want 1", len(log.records))
	}
}

func TestDamageCostsTheDamagedLinesOnly(t *testing.T) {
	for name, damage := range map[string]string{
		"a torn last line":   `{"seq":4,"time":"2026-03-0`,
		"garbage":            "\x00\xff\xfe}{\n\n[]\n\"x\"\nnull\n",
		"a line of no event": "{\"seq\":4}\n",
		"a number too large": `{"seq":18446744073709551615,"time":"2026-03-01T12:00:00Z","kind":"admin"}` + "\n",
		"an endless line":    strings.Repeat("x", 2*maxLine) + "\n",
		"an event again":     `{"seq":2,"time":"2026-03-01T12:00:00Z","kind":"admin"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			run(path, 3)
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(damage); err != nil || f.Close() != nil {
				t.Fatal(err)
			}
			run(path, 2)
			if got, want := kept(t, Open(path), Query{}), []uint64{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestTheFilesStayWithinTheirBounds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	long := strings.Repeat("x", 2*longest)
	const runs, events = 5, 300
	for range runs {
		j := Open(path)
		for range events {
			j.Record(api.Event{Kind: api.AdminEvent, From: long, To: long, By: long, Reason: long})
		}
		writeAll(j)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("got %v, %v, want two files", entries, err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Size() > limit+2*batch {
			t.Errorf("%s has %d bytes, %v, want at most %d", entry.Name(), info.Size(), err, limit+2*batch)
		}
	}
	all := kept(t, Open(path), Query{})
	if first, last := all[0], all[len(all)-1]; last != runs*events || first == 1 || len(all) != int(last-first+1) {
		t.Errorf("got %d events, from %d to %d", len(all), first, last)
	}
}

func TestAFullDiskIsToldWhileItLastsAndWhatWasMissedAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "events.jsonl")
		if err := os.Symlink("/dev/full", path); err != nil {
			t.Fatal(err)
		}
		j := Open(path)
		defer j.Keep()()
		note(j, 1)
		synctest.Wait()
		if got := j.Trouble(); !strings.Contains(got, "no space left on device") {
			t.Errorf("trouble is %q", got)
		}
		note(j, 3*size) // more than memory holds
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lastRetry)
		synctest.Wait()
		if got := j.Trouble(); got != "" {
			t.Errorf("trouble is still %q", got)
		}
		time.Sleep(syncAfter)
		synctest.Wait()
		var told []string
		for event := range Open(path).events(t.Context(), Query{Admit: func(e api.Event) bool { return e.Kind == api.ControllerEvent }}) {
			told = append(told, event.To+": "+event.Reason)
		}
		if len(told) != 2 || !strings.HasPrefix(told[0], "keeping") || !strings.HasPrefix(told[1], "missed: the file of events lacks 8194, from 1 to 8194") {
			t.Errorf("got %q", told)
		}
	})
}

func TestADirectoryThatIsMissingIsTroubleUntilItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		path := filepath.Join(dir, "events.jsonl")
		j := Open(path)
		defer j.Keep()()
		note(j, 2)
		synctest.Wait()
		if got := j.Trouble(); !strings.Contains(got, "no such file or directory") {
			t.Errorf("trouble is %q", got)
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lastRetry)
		synctest.Wait()
		if got, want := kept(t, Open(path), Query{}), []uint64{1, 2, 3, 4}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestAFileThatSomebodyRemovedIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "events.jsonl")
		j := Open(path)
		defer j.Keep()()
		note(j, 1)
		synctest.Wait()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		note(j, 1)
		synctest.Wait()
		if got, want := kept(t, Open(path), Query{}), []uint64{2}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestAFollowerHearsWhatIsKeptAndThenWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New()
		note(j, 3)
		var got []uint64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for event := range j.events(t.Context(), Query{Last: 1, Follow: true}) {
				if got = append(got, event.Seq); len(got) == 3 {
					return
				}
			}
		}()
		synctest.Wait()
		note(j, 2)
		<-done
		if want := []uint64{3, 4, 5}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestASinceFromTheFutureMeansAll(t *testing.T) {
	j := New()
	note(j, 2)
	if got, want := kept(t, j, Query{Since: 7}), []uint64{1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestALongReasonIsCutAtACharacter(t *testing.T) {
	j := New()
	j.Record(api.Event{Reason: strings.Repeat("ü", longest)})
	events, _ := j.after(0)
	if got := events[0].Reason; len(got) > longest+len("…") || strings.Trim(got, "ü…") != "" {
		t.Errorf("got %d bytes", len(got))
	}
}
