// Package arrows holds the project's imports to docs/design.md: data flows
// one way, and the middle is pure.
package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/routesteer/routesteer/"

// allowed says which packages of the project each package may import. A
// package that is not here may import none: a new one needs a line, and the
// line a thought.
var allowed = map[string][]string{
	"topology":                     {},
	"health":                       {"topology"},
	"health/probe":                 {"health", "internal/program", "internal/thread", "topology"},
	"internal/program":             {},
	"internal/program/programtest": {},
	"internal/notify":              {"api", "internal/program", "internal/secret", "internal/thread", "topology"},
	"steer":                        {"health", "topology"},
	"drivers":                      {"steer"},
	"drivers/bgp":                  {"drivers", "internal/secret", "steer", "topology"},
	"drivers/linux":                {"drivers", "drivers/linux/flows", "steer", "topology"},
	"drivers/linux/flows":          {"steer", "topology"},
	"drivers/cisco":                {"drivers", "internal/secret", "steer", "topology"},
	"drivers/cisco/iostest":        {},
	"drivers/mem":                  {"drivers", "steer", "topology"},
	"drivers/drivertest":           {"drivers", "steer", "topology"},
	"api":                          {},
	"client":                       {"api"},
	"internal/journal":             {"api"},
	"internal/frr":                 {"internal/netns"},
	"internal/metrics":             {"api"},
	"internal/netns":               {"internal/thread"},
	"internal/thread":              {},
	"internal/netns/netnstest":     {"internal/netns"},
	"internal/openapi":             {},
	"internal/secret":              {"topology"},
	"internal/state":               {"topology"},
	"internal/controller":          {"drivers", "health", "api", "internal/journal", "internal/state", "internal/whatif", "steer", "topology"},
	"internal/control":             {"api"},
	"internal/web":                 {"api", "internal/control", "internal/secret", "topology"},
	"internal/whatif":              {"health", "api", "steer", "topology"},
	"internal/lab":                 {"api", "client", "internal/control", "internal/frr", "internal/netns", "topology"},
	"internal/show":                {"api"},
	"internal/page":                {},
	"internal/simulation":          {},
	"internal/sweep":               {"drivers/linux", "topology"},
	"internal/doctor":              {"topology"},
	"internal/manual":              {},
	"internal/support":             {},
	"internal/arrows":              {},
	"docs":                         {},
	"packaging":                    {},
	"scripts":                      {},
}

// pure packages decide, and leave the world alone.
var pure = []string{"topology", "health", "steer", "internal/whatif"}

var impure = []string{"os", "net", "net/http", "context", "sync", "log/slog", "log", "math/rand", "math/rand/v2"}

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "cmd/") {
			continue // puts everything together
		}
		may, known := allowed[name]
		if !known {
			t.Errorf("%s has no line in the list of arrows", name)
		}
		for _, path := range p.Imports {
			if own, is := strings.CutPrefix(path, module); is && !slices.Contains(may, own) {
				t.Errorf("%s imports %s, against the arrows", name, own)
			}
		}
	}
}

func TestTheMiddleIsPure(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.Contains(pure, strings.TrimPrefix(p.ImportPath, module)) {
			continue
		}
		for _, path := range p.Imports {
			if slices.Contains(impure, path) {
				t.Errorf("%s is pure and imports %s", p.ImportPath, path)
			}
		}
		for _, file := range p.GoFiles {
			if line := clockOrGoroutine(t, filepath.Join(p.Dir, file)); line != "" {
				t.Errorf("%s is pure: %s", p.ImportPath, line)
			}
		}
	}
}

// clockOrGoroutine finds a call of the clock or a go statement in a file.
func clockOrGoroutine(t *testing.T, path string) string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = files.Position(n.Pos()).String() + " starts a goroutine"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker"}, n.Sel.Name) {
				found = files.Position(n.Pos()).String() + " calls time." + n.Sel.Name
			}
		}
		return true
	})
	return found
}
