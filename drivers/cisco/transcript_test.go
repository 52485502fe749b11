package cisco

import (
	"errors"
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

// TestTheRoutersSecretsAreNotTold covers those that a configuration holds.
func TestTheRoutersSecretsAreNotTold(t *testing.T) {
	dir := t.TempDir()
	script, err := openTranscript(dir, "core")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		" neighbor 10.0.0.9 password hunter2", "enable password 8 hunter2", "password hunter2", "enable secret 5 hunter2",
		"snmp-server community hunter2 RO", "  key-string 7 hunter2", " ip ospf message-digest-key 1 md5 hunter2", "tacacs-server key hunter2",
	} {
		script.answered("!\r\n" + line + "\r\n!")
		s := &session{script: script}
		if err := s.lost(errors.New("cut"), line); strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
	script.answered("ip route 10.1.1.0/27 10.0.0.1 tag 5253")
	if err := script.close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "core.log"))
	if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "10.0.0.1 tag 5253") {
		t.Errorf("%v\n%s", err, text)
	}
}
