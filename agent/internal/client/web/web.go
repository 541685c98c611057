// Package web serves a local page that shows what a database has: runs as a grid of procedures by time, the
// trend of each step, comparisons, the queue and its progress, and the report of each run.
//
// Pages are rendered here, from html/template, and work without JavaScript. A script of a few dozen lines asks
// for the page again each second and changes what has changed. Nothing here writes to the database, loads
// anything from elsewhere, or keeps state for a reader: what a page shows is in its address.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

//go:embed page
var files embed.FS

// Policy is what a page may load and do: its own style sheet and script, and asking for itself again.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// requestTimeout limits the queries of one page.
const requestTimeout = 10 * time.Second

// A Site serves the pages of one database. It is safe for concurrent use.
type Site struct {
	source   *source
	language htmlkit.Language // empty for that of the browser
	mux      *http.ServeMux
	pages    map[string]*template.Template
}

// New returns the site of the database at a place, which is opened when a page is asked for: it may be away
// for a while. The language is that of pages whose address has none; empty for the browser's choice.
func New(place string, language htmlkit.Language) (*Site, error) {
	s := &Site{source: &source{place: place}, language: language, mux: http.NewServeMux(), pages: map[string]*template.Template{}}
	for path, p := range map[string]struct {
		template string
		allowed  string // parameters
		build    builder
	}{
		"/{$}":        {"runs", filterParameters + " page rows", s.runs},
		"/run/{id}":   {"run", "page", s.run},
		"/trend":      {"trend", "procedure board label since until baseline page", s.trend},
		"/compare":    {"compare", "procedure run with page", s.compare},
		"/queue":      {"queue", "page", s.queue},
		"/procedures": {"procedures", "", s.procedures},
		"/procedure":  {"procedure", "name from to", s.procedure},
	} {
		if err := s.page(path, p.template, p.allowed, p.build); err != nil {
			return nil, err
		}
	}
	if err := s.parse("error"); err != nil {
		return nil, err
	}
	s.mux.HandleFunc("GET /run/{id}/report", s.report)
	script, err := files.ReadFile("page/app.js")
	if err != nil {
		return nil, err
	}
	style, err := files.ReadFile("page/style.css")
	if err != nil {
		return nil, err
	}
	sheet := htmlkit.PairedColours() + htmlkit.Base() + string(style)
	s.mux.Handle("GET /app.js", file("text/javascript; charset=utf-8", script))
	s.mux.Handle("GET /style.css", file("text/css; charset=utf-8", []byte(sheet)))
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		v, _ := s.view(r, "")
		s.fail(w, r, v, errNoPage)
	})
	return s, nil
}

// ServeHTTP serves the pages.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close closes the database.
func (s *Site) Close() error { return s.source.close() }

// A builder collects what a page shows. Its title is shown by the browser.
type builder func(ctx context.Context, db *database.DB, v *view) (title string, body any, err error)

// parse parses the template of a page and the parts that all pages share.
func (s *Site) parse(name string) error {
	t, err := template.New("layout.tmpl").Funcs(template.FuncMap{"clean": logging.Clean, "pass": pass}).
		ParseFS(files, "page/layout.tmpl", "page/parts.tmpl", "page/"+name+".tmpl")
	s.pages[name] = t
	return err
}

// page registers a page.
func (s *Site) page(path, name, allowed string, build builder) error {
	s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		v, err := s.view(r, allowed)
		if err != nil {
			s.fail(w, r, v, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		db, err := s.source.get(ctx)
		if err == nil {
			v.now, err = db.Now(ctx)
		}
		if err == nil {
			v.place, v.name = db.Name(), name
			v.title, v.Body, err = build(ctx, db, v)
		}
		if err != nil {
			s.fail(w, r, v, s.source.explain(r.Context(), err))
			return
		}
		s.write(w, r, http.StatusOK, name, v)
	})
	return s.parse(name)
}

// fail writes the page of an error.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, v *view, err error) {
	status := http.StatusServiceUnavailable
	problem := problem{Sentence: v.Words.Away, Detail: err.Error(), Retry: true}
	var bad *badRequest
	switch {
	case errors.As(err, &bad):
		status, problem = http.StatusBadRequest, badPage(v, bad)
	case errors.Is(err, errNoPage):
		status = http.StatusNotFound
		problem.Sentence, problem.Detail, problem.Retry = v.Words.NoPage, "", false
	case errors.Is(err, database.ErrMissing):
		status = http.StatusNotFound
		problem.Sentence, problem.Retry = v.Words.Missing, false
	}
	v.name, v.title, v.Body = "error", problem.Sentence, problem
	s.write(w, r, status, "error", v)
}

// A problem is what the page of an error says.
type problem struct {
	Sentence, Detail string
	Retry            bool // the page tries again
}

var errNoPage = errors.New("there is no such page")

// write writes a page, unless the reader has it.
func (s *Site) write(w http.ResponseWriter, r *http.Request, status int, name string, v *view) {
	var b bytes.Buffer
	if err := s.pages[name].Execute(&b, v); err != nil {
		http.Error(w, "the page cannot be rendered: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Vary", "Accept-Language")
	serve(w, r, status, b.Bytes())
}

// serve writes content, or that the reader has it.
func serve(w http.ResponseWriter, r *http.Request, status int, content []byte) {
	sum := sha256.Sum256(content)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", etag)
	if status == http.StatusOK && strings.Contains(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(content) // the reader may have gone
}

// file serves a file of the site. Browsers ask each time whether it has changed.
func file(contentType string, content []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-cache")
		serve(w, r, http.StatusOK, content)
	})
}

// pass returns its arguments as one value, for a template that is given several.
func pass(values ...any) []any { return values }
