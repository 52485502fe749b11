// Package docs_test holds the documents to the program. In README.md and docs:
//
//   - a block ```yaml is a configuration file; ```yaml part is some keys of one; ```yaml of X
//     is another program's. For the commands below it on the page, the former is site.yaml.
//   - a block ```console is typed into the lab, page by page, in its order: lines
//     that begin with "$ " must succeed, or exit with what "# exit 2" after them says,
//     and the lines below must be in what they print, with anything for each "…".
//   - a block ```console elsewhere needs what the lab is not: of its commands the names
//     and flags of ours are checked. How many there are is said below.
//   - in troubleshooting.md, each heading in backquotes is a message, in the program's
//     words but for each "…".
package docs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/client"
	"github.com/routesteer/routesteer/internal/lab"
	"github.com/routesteer/routesteer/internal/netns"
	"github.com/routesteer/routesteer/topology"
)

func TestMain(m *testing.M) {
	if err := netns.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// elsewhere is how many blocks of a page the lab cannot run.
var elsewhere = map[string]int{"tutorial.md": 4, "operations.md": 8, "security.md": 1, "migration.md": 2}

// A block is fenced text of a page.
type block struct {
	page string
	line int
	kind string // what is behind the fence
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// pages are the documents, by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, path := range append(paths, "../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = string(text)
	}
	return all
}

// blocks returns the fenced blocks of a page.
func blocks(page, text string) []block {
	var all []block
	inside := false
	for i, line := range strings.Split(text, "\n") {
		fence, is := strings.CutPrefix(line, "```")
		switch {
		case is && !inside:
			inside = true
			all = append(all, block{page: page, line: i + 1, kind: strings.TrimSpace(fence)})
		case is:
			inside = false
		case inside:
			all[len(all)-1].text += line + "\n"
		}
	}
	return all
}

// rest is what a file needs besides the keys that a document tells of.
const rest = `
servers: {web1: 192.0.2.11, web2: 192.0.2.12, web3: 192.0.2.13, web4: 192.0.2.14}
vips: [{name: shop, prefix: 203.0.113.32/27, primary: web1}]
routers:
  edge: {linux: {}}
  borders: {bgp: {asn: 65000, router_id: 192.0.2.2, peers: [{address: 192.0.2.1, asn: 65001}]}}
`

func TestConfigurationsAreValid(t *testing.T) {
	found := 0
	for page, text := range pages(t) {
		for _, b := range blocks(page, text) {
			config := b.text
			switch b.kind {
			case "yaml":
			case "yaml part":
				config = completed(t, b)
			default:
				continue
			}
			found++
			if _, err := topology.Parse(b.String(), []byte(config)); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d found", found)
	}
}

// completed puts some keys into a whole file.
func completed(t *testing.T, b block) string {
	t.Helper()
	var whole, part map[string]any
	if err := errors.Join(yaml.Unmarshal([]byte(rest), &whole), yaml.Unmarshal([]byte(b.text), &part)); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	for key, value := range part {
		whole[key] = value
	}
	text, err := yaml.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// build builds the program into a directory of its own, which comes first in
// PATH for the test.
func build(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "docs") // short: sockets are below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary := filepath.Join(dir, "routesteer")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../cmd/routesteer") // as make build does, whose work is kept
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, said)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("TMPDIR", dir) // where labs look for each other
	return binary
}

func TestCommandsCanBeTyped(t *testing.T) {
	binary := build(t)
	typed := 0
	for page, text := range pages(t) {
		here := blocks(page, text)
		if !slices.ContainsFunc(here, func(b block) bool { return b.kind == "console" }) {
			continue
		}
		t.Run(page, func(t *testing.T) {
			l := startLab(t, binary)
			for _, b := range here {
				switch b.kind {
				case "yaml":
					if err := os.WriteFile(filepath.Join(l.Paths.Dir, "desk", "site.yaml"), []byte(b.text), 0o600); err != nil {
						t.Fatal(err)
					}
				case "console":
					typed += typeAll(t, b, l)
				}
			}
		})
	}
	if typed < 19 {
		t.Errorf("only %d commands were typed", typed)
	}
}

func startLab(t *testing.T, binary string) *lab.Lab {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{
		Node: []string{binary, "lab-node"}, Controller: []string{binary, "run"},
		Dial: func(socket string) api.Operator { return client.New(socket) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	site, err := os.ReadFile(l.Paths.Site)
	if err != nil {
		t.Fatal(err)
	}
	desk := filepath.Join(l.Paths.Dir, "desk") // where commands are typed
	if err := errors.Join(os.Mkdir(desk, 0o700), os.WriteFile(filepath.Join(desk, "site.yaml"), site, 0o600)); err != nil {
		t.Fatal(err)
	}
	return l
}

var exit = regexp.MustCompile(`\s+# exit (\d+)$`)

// typeAll types the commands of a block, and returns how many there were.
func typeAll(t *testing.T, b block, l *lab.Lab) int {
	t.Helper()
	typed := 0
	said := ""
	for line := range strings.Lines(b.text) {
		line = strings.TrimRight(line, "\n")
		command, is := strings.CutPrefix(line, "$ ")
		switch {
		case is:
			typed++
			want := 0
			if code := exit.FindStringSubmatch(command); code != nil {
				want, _ = strconv.Atoi(code[1]) // it is digits
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
			cmd.Dir = filepath.Join(l.Paths.Dir, "desk")
			cmd.Env = append(os.Environ(), "ROUTESTEER_SOCKET="+l.Paths.Socket)
			out, err := cmd.CombinedOutput()
			said = string(out)
			if code := cmd.ProcessState.ExitCode(); code != want {
				t.Errorf("%s: %s: exit %d, want %d: %v\n%s", b, command, code, want, err, said)
			}
		case line != "" && !says(said, line):
			t.Errorf("%s: %q is not in what is printed:\n%s", b, line, said)
		}
	}
	return typed
}

// says reports whether a text has the line, with anything for each "…".
func says(text, line string) bool {
	var parts []string
	for part := range strings.SplitSeq(line, "…") {
		parts = append(parts, regexp.MustCompile(`\s+`).ReplaceAllString(regexp.QuoteMeta(strings.TrimSpace(part)), `\s+`))
	}
	return regexp.MustCompile(strings.Join(parts, `.*`)).MatchString(text)
}

func TestCommandsForElsewhereExist(t *testing.T) {
	binary := build(t)
	for page, text := range pages(t) {
		found := 0
		for _, b := range blocks(page, text) {
			if b.kind != "console elsewhere" {
				continue
			}
			found++
			for line := range strings.Lines(b.text) {
				for _, command := range ours(line) {
					if err := exists(binary, command); err != nil {
						t.Errorf("%s: %s: %v", b, command, err)
					}
				}
			}
		}
		if found != elsewhere[page] {
			t.Errorf("%s has %d blocks that the lab cannot run, and %d are known", page, found, elsewhere[page])
		}
	}
}

var ourCommand = regexp.MustCompile(`\broutesteer( [^|&;>)]*)?`)

// ours returns the commands of ours in a typed line.
func ours(line string) []string {
	command, typed := strings.CutPrefix(line, "$ ")
	if !typed {
		return nil
	}
	var all []string
	for _, words := range ourCommand.FindAllString(command, -1) {
		if fields := strings.Fields(words); len(fields) > 1 && regexp.MustCompile(`^[a-z-]+$`).MatchString(fields[1]) && strings.Contains(" $ sudo && |", lastWord(command, words)) {
			all = append(all, words)
		}
	}
	return all
}

// lastWord is the word before a command: it is one only where a command can be.
func lastWord(line, command string) string {
	before := strings.Fields(line[:strings.Index(line, command)])
	if len(before) == 0 {
		return "$"
	}
	return before[len(before)-1]
}

// exists asks the program's own help for the command and its flags.
func exists(binary, command string) error {
	words := strings.Fields(command)[1:]
	var names []string
	for _, word := range words {
		if strings.HasPrefix(word, "-") || !regexp.MustCompile(`^[a-z-]+$`).MatchString(word) {
			break
		}
		names = append(names, word)
	}
	help, err := exec.Command(binary, append(names, "--help")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, help)
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "-") && !regexp.MustCompile(`(?m)(^|[\s,])`+flag+`\b`).Match(help) {
			return fmt.Errorf("it has no flag %s", flag)
		}
	}
	return nil
}

// TestQuotedMessagesAreThePrograms: what an operator looks for is what was read.
func TestQuotedMessagesAreThePrograms(t *testing.T) {
	source := sources(t)
	quoted := 0
	for line := range strings.Lines(pages(t)["troubleshooting.md"]) {
		heading, is := strings.CutPrefix(strings.TrimSpace(line), "### ")
		if !is || !strings.HasPrefix(heading, "`") {
			continue
		}
		quoted++
		for part := range strings.SplitSeq(strings.Trim(heading, "`"), "…") {
			if part = strings.TrimSpace(part); !strings.Contains(source, part) {
				t.Errorf("troubleshooting.md quotes %q, which the program does not say", part)
			}
		}
	}
	if quoted < 15 {
		t.Errorf("only %d messages are quoted", quoted)
	}
}

// sources is all of the program's text.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{"build", ".git", "testdata"}, entry.Name()) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestLinksLead to files that are there.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for page, text := range pages(t) {
		dir := "."
		if page == "README.md" {
			dir = ".."
		}
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(dir, found[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
