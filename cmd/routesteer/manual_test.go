package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/routesteer/routesteer/client"
	"github.com/routesteer/routesteer/internal/manual"
)

var update = flag.Bool("update", false, "write the man pages")

const manPages = "../../packaging/man"

// TestEveryCommandHasItsManPage also finds pages of commands that are no more.
func TestEveryCommandHasItsManPage(t *testing.T) {
	t.Setenv(socketVariable, client.DefaultSocket) // a page is not about this machine
	pages := manual.Commands((&app{}).rootCommand())
	if *update {
		writePages(t, pages)
	}
	for file, want := range pages {
		if got, err := os.ReadFile(filepath.Join(manPages, file)); err != nil || string(got) != want {
			t.Errorf("%s is not as the command is (%v): `make docs` writes it anew", file, err)
		}
	}
	for _, path := range writtenPages(t) {
		if _, is := pages[filepath.Base(path)]; !is {
			t.Errorf("%s is of no command", path)
		}
	}
}

func writtenPages(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(manPages + "/*.1")
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func writePages(t *testing.T, pages map[string]string) {
	t.Helper()
	for _, path := range writtenPages(t) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for file, page := range pages {
		if err := os.WriteFile(filepath.Join(manPages, file), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
