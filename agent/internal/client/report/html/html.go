// Package html writes the report of a run, or of the runs on several boards, as one HTML page for people. The page opens offline,
// loads nothing and runs no script. It can be printed, read on a phone and read aloud.
//
// Everything on a page comes from a record.Run; the package judges nothing. All wording comes
// from the catalogue of the language, and all other text is escaped. Values for programs are in
// <data value> elements, in seconds.
package html

import (
	"bufio"
	"embed"
	"html/template"
	"io"
	"iter"
	"sync"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

//go:embed page.tmpl boards.tmpl style.css boards.css
var files embed.FS

// Write writes the page of the run in the language. The split says where the time went; nil if
// that is not known.
func Write(w io.Writer, run record.Run, split *report.Split, language Language) error {
	p, err := newPage(run, split, language)
	if err != nil {
		return err
	}
	return execute(w, "page.tmpl", p)
}

// WriteAll writes one page of the runs on several boards in the language: a row for each board. Link
// returns the URL of the page of the board with a name, relative to this page, or "" if it has none; it
// is nil if no board has one. WriteAll holds of each board what its row shows, whatever the number of steps.
func WriteAll(w io.Writer, boards iter.Seq[report.Board], language Language, link func(board string) string) error {
	p, err := newBoardsPage(boards, language, link)
	if err != nil {
		return err
	}
	return execute(w, "boards.tmpl", p)
}

// templates parses the templates, once.
var templates = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{"clean": logging.Clean, "value": phrase.Seconds}).ParseFS(files, "*.tmpl")
})

// execute writes the page that a template makes of its data.
func execute(w io.Writer, name string, data any) error {
	all, err := templates()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := all.ExecuteTemplate(out, name, data); err != nil {
		return err
	}
	return out.Flush()
}
