package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/topology"
)

// TestTheJudgementPageShowsWhatIsPrinted types the commands of docs/judgement.md
// that it shows the output of, with the file that it shows.
func TestTheJudgementPageShowsWhatIsPrinted(t *testing.T) {
	page, err := os.ReadFile("../../docs/judgement.md")
	if err != nil {
		t.Fatal(err)
	}
	site, parts := filesOf(string(page))
	if _, err := topology.Parse("docs/judgement.md", []byte(site+parts)); err != nil {
		t.Errorf("with all that the page adds to it, the file is bad: %v", err)
	}
	file := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(file, []byte(site), 0o644); err != nil {
		t.Fatal(err)
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

// filesOf returns the site of a page, and the parts of a file that it shows besides.
func filesOf(page string) (site, parts string) {
	for _, rest := range strings.Split(page, "```yaml")[1:] {
		_, rest, _ = strings.Cut(rest, "\n") // "part", for one
		block, _, _ := strings.Cut(rest, "```")
		if strings.Contains(block, "routers:") {
			site += block
		} else {
			parts += block
		}
	}
	return site, parts
}

// shown are the commands of a page's consoles, which have a $, with what they print.
func shown(page string) map[string]string {
	commands := map[string]string{}
	for _, rest := range strings.Split(page, "```console\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		for _, typed := range strings.Split("\n"+block, "\n$ ")[1:] {
			command, printed, _ := strings.Cut(typed, "\n")
			command, _, _ = strings.Cut(command, "#") // a comment
			commands[command] = strings.TrimRight(printed, "\n") + "\n"
		}
	}
	return commands
}
