package topology

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected problems in testdata")

// TestProblems reads testdata/problems: pairs of a file with faults and the
// text an operator gets for it. A section that a file needs and does not have
// is appended, so that each shows its own fault only; not in whole.txtar.
func TestProblems(t *testing.T) {
	paths, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, path := range paths {
		comment, cases := readCases(t, path)
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				text := c.file
				if filepath.Base(path) != "whole.txtar" {
					text = complete(text)
				}
				got := problemText(text)
				if *update {
					cases[i].problems = got
				} else if got != c.problems {
					t.Errorf("file:\n%s\ngot:\n%s\nwant:\n%s", text, got, c.problems)
				}
			})
		}
		if *update {
			writeCases(t, path, comment, cases)
		}
	}
}

type problemCase struct{ name, file, problems string }

// readCases reads a comment, and cases of the form
//
//	-- name --
//	the file
//	-- problems --
//	what Parse says
func readCases(t testing.TB, path string) (comment string, cases []problemCase) {
	t.Helper()
	comment, rest, _ := strings.Cut(string(readFile(t, path)), "-- ")
	for rest != "" {
		var c problemCase
		var body string
		c.name, body, _ = strings.Cut(rest, " --\n")
		file, after, ok := strings.Cut("\n"+body, "\n-- problems --\n")
		if !ok {
			t.Fatalf("%s: case %q has no problems", path, c.name)
		}
		c.file = strings.TrimPrefix(file, "\n") + "\n"
		problems, after, more := strings.Cut("\n"+after, "\n-- ")
		c.problems = strings.TrimPrefix(problems, "\n")
		if more && c.problems != "" {
			c.problems += "\n"
		}
		cases, rest = append(cases, c), after
	}
	return comment, cases
}

func writeCases(t *testing.T, path, comment string, cases []problemCase) {
	t.Helper()
	var text strings.Builder
	text.WriteString(comment)
	for _, c := range cases {
		fmt.Fprintf(&text, "-- %s --\n%s-- problems --\n%s", c.name, c.file, c.problems)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

// complete appends the required sections that are not there.
func complete(text string) string {
	for _, section := range []string{
		"servers: {web1: 192.0.2.11, web2: 192.0.2.12}\n",
		"vips: [203.0.113.32/27]\n",
		"routers: {edge: {linux: {}}}\n",
	} {
		key, _, _ := strings.Cut(section, " ")
		if !strings.Contains("\n"+text, "\n"+key) {
			text += section
		}
	}
	return text
}

func problemText(text string) string {
	_, err := Parse("site.yaml", []byte(text))
	if err == nil {
		return "none\n"
	}
	return err.Error() + "\n"
}

// TestFaultsThatTextCannotShow are files that testdata cannot hold.
func TestFaultsThatTextCannotShow(t *testing.T) {
	var servers, aliases strings.Builder
	for i := range 1100 {
		fmt.Fprintf(&servers, "  s%d: 10.0.%d.%d\n", i, i/250, i%250+1)
	}
	aliases.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		fmt.Fprintf(&aliases, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "site.yaml:1:1: the file is empty; the least a site needs is servers, vips and routers"},
		{"larger than 4 MiB", strings.Repeat("#\n", 2<<20+1), "site.yaml: the file has 4194306 bytes, more than the 4194304 a site may have"},
		{"Latin-1", "servers:\n  # caf\xe9\n  web1: 192.0.2.11\n", "site.yaml:2:8: byte 0xe9 is not UTF-8 text"},
		{"UTF-16", "\xff\xfes\x00", "site.yaml:1:1: byte 0xff is not UTF-8 text"},
		{"a control character", "servers:\n  web1: \x01\n", "site.yaml:2:3: not YAML: control characters are not allowed"},
		{"tab", "servers:\n\tweb1: 192.0.2.11\n",
			"site.yaml:2:2: not YAML: found character that cannot start any token; indent with spaces, not tabs"},
		{"a syntax error in a very large file", "a:\n" + strings.Repeat("  - b\n", 100_000) + " c: d\n",
			"site.yaml:100001:3: not YAML: did not find expected key; look at the indentation, and for a missing colon, quote or bracket near here"},
		{"too many servers", "servers:\n" + servers.String() + "vips: [203.0.113.1]\nrouters: {edge: {linux: }}\n",
			"site.yaml:1026:3: servers: more than 1024 servers"},
		{"a billion laughs", aliases.String(), "site.yaml:4:45: alias *a2 contains itself or unfolds to too much; write the values out"},
		{"Windows line ends", "servers: {web1: 192.0.2.11}\r\nvips: [203.0.113.33/27]\r\nrouters: {edge: {linux: }}\r\n",
			"site.yaml:2:8: vips[0]: 203.0.113.33/27 has host bits set, did you mean 203.0.113.32/27?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.TrimSpace(problemText(c.text)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestManyProblems are cut off, so that a program's mistake costs no memory.
func TestManyProblems(t *testing.T) {
	text := "vips:\n" + strings.Repeat("  - 203.0.113.33/27\n", 100_000)
	_, err := Parse("site.yaml", []byte(text))
	if got := len(err.(Problems)); got != maxProblems {
		t.Errorf("got %d problems, want %d", got, maxProblems)
	}
}

// TestLargeSite bounds the cost of cross checks by not ending for long when
// they are quadratic.
func TestLargeSite(t *testing.T) {
	var text strings.Builder
	text.WriteString("servers: {a: 192.0.2.1, b: 192.0.2.2, c: 192.0.2.3}\nrouters: {edge: {linux: }}\nvips:\n")
	const n = 20_000
	for i := range n {
		fmt.Fprintf(&text, "  - {prefix: 10.%d.%d.%d, primary: a}\n", i>>16, i>>8&255, i&255)
	}
	if got := len(mustParse(t, []byte(text.String())).VIPs); got != n {
		t.Errorf("got %d VIPs, want %d", got, n)
	}
}

// TestASecretIsNotShown holds that a line with one is in no excerpt, whatever
// else is wrong on it.
func TestASecretIsNotShown(t *testing.T) {
	for _, password := range []string{"hunter2", "[hunter2]"} {
		_, err := Parse("site.yaml", []byte("servers: {web1: 192.0.2.11}\nvips: [203.0.113.32/27]\n"+
			"routers: {core: {cisco: {address: 192.0.2.1, adress: x, password: "+password+", dialect: asa, tag: 0}}}\n"))
		problems, _ := err.(Problems)
		if len(problems) != 4 {
			t.Fatalf("%d problems, want 4: %v", len(problems), err)
		}
		if text := problems.Detail(); strings.Contains(text, "hunter2") {
			t.Errorf("the password is told:\n%s", text)
		}
	}
}
