package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/routesteer/routesteer/internal/state"
	"github.com/routesteer/routesteer/topology"
)

var drained = state.Intent{Drains: map[topology.ServerName]state.Drain{
	"web1": {By: "ann", Reason: "kernel", Since: time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)},
}}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if intent, err := state.Load(path); err != nil || len(intent.Drains) != 0 {
		t.Fatalf("no file: %+v, %v; want no intent", intent, err)
	}
	for _, want := range []state.Intent{drained, {}} {
		if err := state.Save(path, want); err != nil {
			t.Fatal(err)
		}
		if got, err := state.Load(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestAFileThatIsNotIntentIsUnreadable(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"version": 2, "drains": {}}`, `{"drains": {}}`} {
		path := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := state.Load(path); !errors.Is(err, state.ErrUnreadable) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v, want that %s is unreadable", text, err, path)
		}
		aside, err := state.SetAside(path, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(aside); err != nil || string(kept) != text {
			t.Errorf("set aside as %q, %v; want %q kept", kept, err, text)
		}
	}
}

func TestAFailedSaveLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	// A directory that is not empty cannot be renamed over.
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := state.Save(path, drained); err == nil || !strings.Contains(err.Error(), "keep operators' intent") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := state.Save(filepath.Join(dir, "missing", "state.json"), drained); err == nil {
		t.Error("saving in a directory that does not exist succeeds")
	}
}
