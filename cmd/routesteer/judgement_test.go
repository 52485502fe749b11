package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheJudgementPageShowsWhatIsPrinted types the commands of docs/judgement.md
// that it shows the output of, with the file that it shows.
func TestTheJudgementPageShowsWhatIsPrinted(t *testing.T) {
	page, err := os.ReadFile("../../docs/judgement.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	site, _, found := strings.Cut(rest, "```")
	file := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(file, []byte(site), 0o644); err != nil || !found {
		t.Fatal("no site.yaml on the page", err)
	}
	typed := 0
	for command, want := range shown(string(page)) {
		typed++
		var out, errs bytes.Buffer
		a := &app{stdout: &out, stderr: &errs}
		a.main(strings.Fields(strings.ReplaceAll(command, "site.yaml", file))[1:])
		if got := strings.ReplaceAll(out.String(), file, "site.yaml"); got != want {
			t.Errorf("%s prints\n%s%s\nand the page has\n%s", command, got, errs.String(), want)
		}
	}
	if typed < 2 {
		t.Errorf("only %d commands found", typed)
	}
}

// shown are the commands of a page with what they print: both are indented, and
// the command has a $.
func shown(page string) map[string]string {
	commands, command := map[string]string{}, ""
	for line := range strings.Lines(page) {
		text, indented := strings.CutPrefix(line, "    ")
		switch {
		case strings.HasPrefix(text, "$ "):
			command = strings.TrimSpace(text[2:])
		case command != "" && (indented || line == "\n"):
			commands[command] += text
		default:
			command = ""
		}
	}
	for command, text := range commands {
		commands[command] = strings.TrimRight(text, "\n") + "\n"
	}
	return commands
}
