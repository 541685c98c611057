// Package html tells what a run came to as one HTML page for people: it opens offline, loads
// nothing, runs no script, and can be printed, read on a phone and read aloud.
//
// Everything on the page is taken from a record.Run; nothing here judges. Every word comes
// from the catalogue of the language, every text from elsewhere is escaped. What a program
// may want to read back stands in <data value> elements, in seconds.
package html

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

//go:embed page.tmpl style.css
var files embed.FS

// Write writes the page of the run in the language; split is where the time went, nil when
// that is not known.
func Write(w io.Writer, run record.Run, split *report.Split, language Language) error {
	words := language.words()
	style, err := words.style()
	if err != nil {
		return err
	}
	page, err := template.New("page.tmpl").Funcs(template.FuncMap{"tableOf": tableOf}).ParseFS(files, "page.tmpl")
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(style))
	out := bufio.NewWriter(w)
	v := view{
		Lang: language, Words: words, Run: run, Split: split,
		Style: template.CSS(style), // ours, and what is put into it too
		// The page may load nothing and run nothing, whatever finds its way into it.
		Policy:   "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		chart:    newChart(run),
		previous: repeats(run.Steps),
		again:    duplicates(run.Strays),
	}
	v.selected = selectSteps(run.Steps, v.Problems())
	if err := page.Execute(out, v); err != nil {
		return err
	}
	return out.Flush()
}

// A table is a group of steps with the view of the whole.
type table struct {
	View  view
	Group group
}

func tableOf(v view, g group) table { return table{View: v, Group: g} }

// style returns the style sheet with the names of the columns, which stand before each cell
// where the table is shown as cards.
func (w *words) style() (string, error) {
	sheet, err := files.ReadFile("style.css")
	if err != nil {
		return "", err
	}
	return strings.NewReplacer("$number", w.ColNumber, "$step", w.ColStep, "$response", w.ColTime,
		"$timeout", w.ColTimeout, "$interval", w.ColInterval).Replace(string(sheet)), nil
}
