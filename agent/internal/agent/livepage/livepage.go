// Package livepage serves the live page of an agent: one page for browsers, embedded, with no other
// files needed and no build. The page draws what the agent's events say; package api sends them.
//
// All wording is in page/en.js and page/ko.js and shares its terms with the HTML report of stepctl, as
// the style sheet shares its colours.
package livepage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed page
var page embed.FS

// types are the media types by suffix. The system's table of them may be absent or wrong.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
}

// A file is one of the page's files.
type file struct {
	content     []byte
	contentType string
	etag        string // strong: of the content
}

// Handler returns the handler of the page, at /, and of its files. A browser asks for each file whether it has
// changed, so that a page is never made of the files of two versions.
func Handler() http.Handler {
	files, err := read()
	if err != nil {
		panic(err) // the files are in the program
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		switch {
		case !ok:
			http.NotFound(w, r)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page is only read", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", f.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
	})
}

// read returns the files by path. The page itself is at / too.
func read() (map[string]file, error) {
	files := map[string]file{}
	err := fs.WalkDir(page, "page", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := page.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		files["/"+path.Base(name)] = file{content, types[path.Ext(name)], `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	files["/"] = files["/index.html"]
	return files, err
}
