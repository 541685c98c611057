// Package html writes the report of a run as one HTML page for people. The page opens offline,
// loads nothing and runs no script. It can be printed, read on a phone and read aloud.
//
// Everything on the page comes from a record.Run; the package judges nothing. All wording comes
// from the catalogue of the language, and all other text is escaped. Values for programs are in
// <data value> elements, in seconds.
package html

import (
	"bufio"
	"embed"
	"html/template"
	"io"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

//go:embed page.tmpl style.css
var files embed.FS

// Write writes the page of the run in the language. The split says where the time went; nil if
// that is not known.
func Write(w io.Writer, run record.Run, split *report.Split, language Language) error {
	tmpl, err := template.New("page.tmpl").Funcs(template.FuncMap{"clean": logging.Clean, "value": phrase.Seconds}).ParseFS(files, "page.tmpl")
	if err != nil {
		return err
	}
	p, err := newPage(run, split, language)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := tmpl.Execute(out, p); err != nil {
		return err
	}
	return out.Flush()
}
