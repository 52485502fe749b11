package manual_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/routesteer/routesteer/internal/manual"
	"github.com/routesteer/routesteer/topology"
)

var update = flag.Bool("update", false, "write the pages")

func sections(t *testing.T) []manual.Section {
	t.Helper()
	sections, err := manual.Sections(topology.Schema())
	if err != nil {
		t.Fatal(err)
	}
	return sections
}

func TestTheConfigurationsPagesAreAsTheSchemaIs(t *testing.T) {
	example, err := os.ReadFile("../../routesteer.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"../../docs/configuration.md":           manual.ConfigurationMarkdown(sections(t), string(example)),
		"../../packaging/man/routesteer.yaml.5": manual.ConfigurationPage(sections(t), string(example)),
	} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not as the schema is (%v): `make docs` writes it anew", path, err)
		}
	}
}

// TestManPagesAreRight asks groff, which warns of what it does not understand.
func TestManPagesAreRight(t *testing.T) {
	pages, err := filepath.Glob("../../packaging/man/*")
	if err != nil || len(pages) < 30 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		command := exec.Command("groff", "-man", "-Tutf8", "-ww", "-z", page)
		if said, err := command.CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("%s: %v %s", page, err, said)
		}
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	keys := 0
	for _, section := range sections(t) {
		for _, key := range section.Keys {
			keys++
			if key.What == "" || !strings.HasSuffix(key.What, ".") || key.Form == "" {
				t.Errorf("%s.%s: %q, %q: want a sentence, and what is to be written", section.Path, key.Name, key.What, key.Form)
			}
		}
	}
	if keys < 150 {
		t.Errorf("only %d keys found", keys)
	}
}
