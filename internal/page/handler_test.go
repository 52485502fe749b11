package page_test

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/routesteer/routesteer/internal/page"
)

// served is the page, whose files are compressed once.
var served = sync.OnceValue(page.Handler)

func ask(method, path string, header ...string) *http.Response {
	request := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	served().ServeHTTP(recorder, request)
	return recorder.Result()
}

func TestFilesAreServedAsWhatTheyAre(t *testing.T) {
	for _, test := range []struct {
		name, method, path string
		header             []string
		status             int
		kind               string
	}{
		{"the page", "GET", "/", nil, 200, "text/html; charset=utf-8"},
		{"a module", "GET", "/assets/app.js", nil, 200, "text/javascript; charset=utf-8"},
		{"a style sheet", "GET", "/assets/base.css", nil, 200, "text/css; charset=utf-8"},
		{"the icon", "GET", "/assets/icon.svg", nil, 200, "image/svg+xml"},
		{"only what it would be", "HEAD", "/", nil, 200, "text/html; charset=utf-8"},
		{"no such file", "GET", "/assets/nothing.js", nil, 404, "text/plain; charset=utf-8"},
		{"a way out", "GET", "/assets/../page.go", nil, 404, "text/plain; charset=utf-8"},
		{"the page by another name", "GET", "/index.html", nil, 404, "text/plain; charset=utf-8"},
		{"a change", "POST", "/", nil, 405, "text/plain; charset=utf-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := ask(test.method, test.path, test.header...)
			if answer.StatusCode != test.status || answer.Header.Get("Content-Type") != test.kind {
				t.Errorf("got %d %s, want %d %s", answer.StatusCode, answer.Header.Get("Content-Type"), test.status, test.kind)
			}
		})
	}
}

func TestABrowserThatHasAFileIsNotSentItAgain(t *testing.T) {
	for _, accepts := range []string{"", "gzip, br"} {
		first := ask("GET", "/", "Accept-Encoding", accepts)
		body, err := io.ReadAll(first.Body)
		if err != nil || len(body) == 0 {
			t.Fatal(len(body), err)
		}
		if packed := first.Header.Get("Content-Encoding") == "gzip"; packed != (accepts != "") {
			t.Errorf("accepted is %q, sent %q", accepts, first.Header.Get("Content-Encoding"))
		} else if packed {
			if _, err := gzip.NewReader(strings.NewReader(string(body))); err != nil {
				t.Error(err)
			}
		}
		again := ask("GET", "/", "Accept-Encoding", accepts, "If-None-Match", first.Header.Get("ETag"))
		if body, _ := io.ReadAll(again.Body); again.StatusCode != http.StatusNotModified || len(body) > 0 {
			t.Errorf("asked again: %d, %d bytes", again.StatusCode, len(body))
		}
		other := ask("GET", "/", "Accept-Encoding", accepts, "If-None-Match", `"of-another-version"`)
		if other.StatusCode != http.StatusOK {
			t.Errorf("with another version's tag: %d", other.StatusCode)
		}
	}
}

// Under the policy nothing inline works, and of HTML from strings there must be none.
func TestTheSourceKeepsToThePolicy(t *testing.T) {
	forbidden := regexp.MustCompile(`\bstyle="|<style|\son[a-z]+="|javascript:|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?:[^w]|w[^w])`)
	allowed := regexp.MustCompile(`https://html\.spec\.whatwg\.org\S*|http://www\.w3\.org\S*`)
	err := fs.WalkDir(os.DirFS("static"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(os.DirFS("static"), name)
		for i, line := range strings.Split(string(text), "\n") {
			if found := forbidden.FindString(allowed.ReplaceAllString(line, "")); found != "" {
				t.Errorf("%s:%d: %q", name, i+1, found)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A module that is imported and not served would be a page that does not start.
func TestWhatIsNamedIsThere(t *testing.T) {
	named := regexp.MustCompile(`(?:from |import\()'\./([\w.]+)'|(?:href|src)="/assets/([\w.]+)"`)
	seen := map[string]bool{}
	for _, entry := range list(t) {
		text, err := os.ReadFile("static/" + entry)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range named.FindAllStringSubmatch(string(text), -1) {
			name := match[1] + match[2]
			seen[name] = true
			if answer := ask("GET", "/assets/"+name); answer.StatusCode != http.StatusOK {
				t.Errorf("%s names %s: %s", entry, name, answer.Status)
			}
		}
	}
	for _, entry := range list(t) {
		if entry != "index.html" && !seen[entry] {
			t.Errorf("nobody names %s", entry)
		}
	}
}

func list(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
