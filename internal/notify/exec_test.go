package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/internal/program/programtest"
	"github.com/routesteer/routesteer/topology"
)

// script writes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAProgramGetsTheMessageAndNothingOfOurs(t *testing.T) {
	t.Setenv("ROUTESTEER_TEST_SECRET", "sesame")
	dir := t.TempDir()
	path := script(t, fmt.Sprintf("cat > %[1]s/input\nenv > %[1]s/env\necho \"$1\" > %[1]s/argument\ngrep CapEff /proc/self/status > %[1]s/rights\n", dir))
	message := aMessage()
	p := starter{topology.NotifyExec{Command: []string{path, "a b; $(id)"}, Timeout: 10 * time.Second}}
	if err := p.send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var got Message
	if err := json.Unmarshal([]byte(read("input")), &got); err != nil || got.Title != message.Title || got.Events[0].Server != "web1" {
		t.Errorf("got %q, %v", read("input"), err)
	}
	for _, want := range []string{"ROUTESTEER_NOTIFIER=oncall", "ROUTESTEER_SEVERITY=warning", "ROUTESTEER_STATUS=firing", "ROUTESTEER_EVENTS=1", "ROUTESTEER_TITLE=[WARNING] routesteer on edge: verdict: web1"} {
		if !strings.Contains(read("env"), want) {
			t.Errorf("the environment lacks %s:\n%s", want, read("env"))
		}
	}
	if strings.Contains(read("env"), "sesame") {
		t.Error("the program has our environment")
	}
	if got := read("argument"); got != "a b; $(id)\n" {
		t.Errorf("the argument is %q", got)
	}
	if got := strings.TrimSpace(strings.TrimPrefix(read("rights"), "CapEff:")); strings.Trim(got, "0") != "" {
		t.Errorf("the program has capabilities %s", got)
	}
}

func TestAProgramThatFailsIsToldWithItsWordsAndNotStartedAgain(t *testing.T) {
	path := script(t, "echo 'pager: no\033[31m such team' >&2\nyes | head -c 1000000 >&2\nexit 3\n")
	err := (starter{topology.NotifyExec{Command: []string{path}, Timeout: 10 * time.Second}}).send(t.Context(), aMessage())
	if err == nil || !strings.Contains(err.Error(), "exit status 3: pager: no") || strings.Contains(err.Error(), "\033") || !asFault(err).final {
		t.Errorf("got %v", err)
	}
}

func TestAProgramThatReadsNothingHasDoneItsWork(t *testing.T) {
	if err := (starter{topology.NotifyExec{Command: []string{"/bin/true"}, Timeout: 10 * time.Second}}).send(t.Context(), aMessage()); err != nil {
		t.Error(err)
	}
}

func TestAProgramThatIsMissingIsToldByName(t *testing.T) {
	err := (starter{topology.NotifyExec{Command: []string{"/does/not/exist"}, Timeout: time.Second}}).send(t.Context(), aMessage())
	if err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("got %v", err)
	}
}

func TestAStuckProgramIsKilledWithAllThatItStarted(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	path := script(t, fmt.Sprintf("sleep 600 & echo $! > %s\necho $$ >> %s\nsleep 600\n", pids, pids))
	began := time.Now()
	err := (starter{topology.NotifyExec{Command: []string{path}, Timeout: 2 * time.Second}}).send(t.Context(), aMessage())
	if err == nil || !strings.Contains(err.Error(), "killed after 2s") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("that took %s", took)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		programtest.AwaitEnd(t, pid)
	}
}

func TestAStopEndsAProgramThatRuns(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_ = (starter{topology.NotifyExec{Command: []string{"/bin/sleep", "600"}, Timeout: time.Minute}}).send(ctx, aMessage())
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("that took %s", took)
	}
}
