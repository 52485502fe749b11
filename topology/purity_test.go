package topology

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPackageIsPure holds that Parse is a function of its arguments: no file,
// no network, no clock, no goroutine. Only direct imports count, since fmt
// itself imports os.
func TestPackageIsPure(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("cannot find the package: %v", err)
	}
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			checkPure(t, path)
		}
	}
}

func checkPure(t *testing.T, path string) {
	forbidden := []string{"os", "net", "net/http", "context", "sync", "log", "log/slog"}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ImportSpec:
			if path, _ := strconv.Unquote(node.Path.Value); slices.Contains(forbidden, path) {
				t.Errorf("%s: imports %s", files.Position(node.Pos()), path)
			}
		case *ast.GoStmt:
			t.Errorf("%s: starts a goroutine", files.Position(node.Pos()))
		case *ast.SelectorExpr:
			if pkg, ok := node.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep"}, node.Sel.Name) {
				t.Errorf("%s: calls time.%s", files.Position(node.Pos()), node.Sel.Name)
			}
		}
		return true
	})
}
