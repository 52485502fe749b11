// Package page is the page that a browser shows of a running controller: what
// is well and what is not, where each VIP's traffic goes, what happened, and what
// an operator can do about it.
//
// It is files and nothing else: HTML, style sheets and ES modules in static/, as
// they were written, with no step that builds them. All that they show comes from
// the paths of package api, on the same host, and whatever they are told they put
// on the page as text, never as HTML.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// prefix is where all files but the page itself are.
const prefix = "/assets/"

//go:embed static
var static embed.FS

// Handler serves the page at / and its files under /assets/. All of it is in
// memory; the handler is safe for concurrent use.
func Handler() http.Handler {
	files := readFiles()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, known := files[r.URL.Path]
		switch {
		case !known:
			http.Error(w, "there is no such page here; the page is at /", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this page can be read only", http.StatusMethodNotAllowed)
		default:
			file.serve(w, r)
		}
	})
}

// A file is what is served at one path.
type file struct {
	kind   string // media type
	tag    string // of its content
	plain  []byte
	packed []byte // by gzip
}

// readFiles reads all files, by the path they are served at. That they cannot be
// read would be a mistake of the program's build.
func readFiles() map[string]file {
	files := map[string]file{}
	err := fs.WalkDir(static, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		files[address(name)] = newFile(name, text)
		return nil
	})
	if err != nil {
		panic("page: " + err.Error())
	}
	return files
}

// address is the path of a URL for a file's name.
func address(name string) string {
	if name = strings.TrimPrefix(name, "static/"); name == "index.html" {
		return "/"
	}
	return prefix + name
}

func newFile(name string, text []byte) file {
	sum := sha256.Sum256(text)
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is a known one
	_, err := w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		panic("page: pack " + name + ": " + err.Error()) // into memory
	}
	return file{kind: mediaType(name), tag: base64.RawURLEncoding.EncodeToString(sum[:12]), plain: text, packed: packed.Bytes()}
}

// mediaType is by the name alone, and not by the machine's list of them.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		panic("page: no media type is known for " + name)
	}
}

// serve sends a file, unless the browser has it already. It asks each time, so
// that a new version of the program is a new version of the page at once.
func (f file) serve(w http.ResponseWriter, r *http.Request) {
	body, tag := f.plain, f.tag
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body, tag = f.packed, f.tag+"-gzip"
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Vary", "Accept-Encoding")
	w.Header().Set("ETag", `"`+tag+`"`)
	if strings.Contains(r.Header.Get("If-None-Match"), `"`+tag+`"`) {
		w.Header().Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // who has gone needs no answer
	}
}
