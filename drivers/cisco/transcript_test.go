package cisco

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTranscriptsStaySmall also where one session is kept for months.
func TestTranscriptsStaySmall(t *testing.T) {
	dir := t.TempDir()
	script, err := openTranscript(dir, "core")
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 1<<10)
	for range (oldTranscript + 3) << 10 {
		script.note("%s", line)
	}
	if err := script.close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != oldTranscript+1 {
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		info, err := os.Stat(filepath.Join(dir, file.Name()))
		if err != nil || info.Size() > maxTranscript+maxTranscript/8 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, mode %v, %v", file.Name(), info.Size(), info.Mode(), err)
		}
	}
}
