package livepage_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/livepage"
)

// names returns the files of the page.
func names(t *testing.T) (all []string) {
	t.Helper()
	entries, err := fs.ReadDir(os.DirFS("page"), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(path.Join("page", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func ask(t *testing.T, method, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	request.Header = header
	recorder := httptest.NewRecorder()
	livepage.Handler().ServeHTTP(recorder, request)
	return recorder
}

// TestFiles: each file is served with its type, and not again to a browser that has it.
func TestFiles(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
	for _, name := range append(names(t), "") {
		response := ask(t, http.MethodGet, "/"+name, nil)
		if name == "" {
			name = "index.html"
		}
		header := response.Header()
		if response.Code != http.StatusOK || response.Body.String() != read(t, name) || header.Get("Content-Type") != kinds[path.Ext(name)] ||
			header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: status %d, %d bytes, header %v", name, response.Code, response.Body.Len(), header)
		}
		again := ask(t, http.MethodGet, "/"+name, http.Header{"If-None-Match": {header.Get("Etag")}})
		if again.Code != http.StatusNotModified {
			t.Errorf("%s is sent to a browser that has it: status %d", name, again.Code)
		}
	}
}

func TestNoSuchFile(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/page", "/page/app.js", "/livepage.go", "/../livepage.go", "/favicon.ico"} {
		if status := ask(t, http.MethodGet, target, nil).Code; status != http.StatusNotFound {
			t.Errorf("%s: status %d", target, status)
		}
	}
	if status := ask(t, http.MethodPost, "/", nil).Code; status != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", status)
	}
}

// TestComplete: the page loads its own files only, and all of them.
func TestComplete(t *testing.T) {
	t.Parallel()
	loaded := map[string]bool{"index.html": true}
	for _, name := range names(t) {
		text := read(t, name)
		for _, found := range regexp.MustCompile(`(?:from '\./|import '\./|src="|href=")([^'"#:]+)['"]`).FindAllStringSubmatch(text, -1) {
			loaded[found[1]] = true
		}
		// The name space of SVG is no address that a browser asks for.
		if foreign := regexp.MustCompile(`(?:https?:)?//[a-z][^ '"]*\.[^ '"]*`).FindString(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")); foreign != "" {
			t.Errorf("%s names %s", name, foreign)
		}
	}
	for _, name := range names(t) {
		if !loaded[name] {
			t.Errorf("%s is loaded by no other file", name)
		}
		delete(loaded, name)
	}
	for name := range loaded {
		t.Errorf("%s is loaded and does not exist", name)
	}
}

// forbidden are what the policy of the agent refuses, and what makes markup of text.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|` +
	`\beval\b|new Function|setTimeout\('|srcdoc|<style|<script|\sstyle=|\son[a-z]+=|javascript:`)

// TestTextStaysText: no file has an inline script or style, and none turns text into markup.
func TestTextStaysText(t *testing.T) {
	t.Parallel()
	for _, name := range names(t) {
		text := strings.ReplaceAll(read(t, name), `<script type="module" src="app.js"></script>`, "")
		if found := forbidden.FindString(text); found != "" {
			t.Errorf("%s has %q", name, found)
		}
	}
}

// TestNames: each id that a script asks for exists, once.
func TestNames(t *testing.T) {
	t.Parallel()
	var made, asked []string
	for _, name := range names(t) {
		text := read(t, name)
		for _, found := range regexp.MustCompile(`\bid(?:="|: ')([\w-]+)["']`).FindAllStringSubmatch(text, -1) {
			made = append(made, found[1])
		}
		for _, found := range regexp.MustCompile(`\$\('([\w-]+)'\)`).FindAllStringSubmatch(text, -1) {
			asked = append(asked, found[1])
		}
	}
	slices.Sort(made)
	if len(slices.Compact(slices.Clone(made))) != len(made) {
		t.Errorf("an id is made twice: %v", made)
	}
	for _, id := range asked {
		if !slices.Contains(made, id) {
			t.Errorf("no element has the id %s", id)
		}
	}
}
