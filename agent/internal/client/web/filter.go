package web

import (
	"context"
	"database/sql"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// filterParameters are the parameters that select runs.
const filterParameters = "procedure board label verdict since until before"

// interrupted is the choice of runs that have no end, beside the verdicts and running.
const interrupted = "interrupted"

// filter returns the selection of runs in the address of a page.
func (v *view) filter() (f database.Filter, err error) {
	f.Procedure, f.Board = v.query.Get("procedure"), v.query.Get("board")
	for _, label := range v.query["label"] {
		key, value, ok := strings.Cut(label, "=")
		if label == "" {
			continue
		}
		if !ok || key == "" {
			return f, &badRequest{"label", label, "label"}
		}
		if f.Labels == nil {
			f.Labels = map[string]string{}
		}
		f.Labels[key] = value
	}
	switch verdict := v.query.Get("verdict"); verdict {
	case "":
	case record.Pass.String(), record.Fail.String(), record.Undecided.String():
		f.Verdict = verdict
	case string(database.Running), interrupted:
		f.State = database.State(verdict)
	default:
		return f, &badRequest{"verdict", verdict, "verdict"}
	}
	if f.Since, err = v.time("since"); err == nil {
		f.Until, err = v.time("until")
	}
	if err == nil && !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		err = &badRequest{"since", v.query.Get("since"), "order"}
	}
	if f.Before = v.query.Get("before"); err == nil && f.Before != "" && !database.IsPartOfID(f.Before) {
		err = &badRequest{"before", f.Before, "id"}
	}
	return f, err
}

// timeForms are the forms of a time in an address: as programs write it, and as browsers do.
var timeForms = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// time returns the time in a parameter; zero for none.
func (v *view) time(name string) (time.Time, error) {
	text := v.query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range timeForms {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil && at.Year() >= 1970 && at.Year() < 10_000 {
			return at, nil
		}
	}
	return time.Time{}, &badRequest{name, text, "time"}
}

// number returns the number in a parameter, from 1 to most; 1 if the address has none.
func (v *view) number(name string, most int) (int, error) {
	text := v.query.Get(name)
	if text == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, &badRequest{name, text, "number"}
	}
	return n, nil
}

// Labels returns the labels that are selected, as the form has them.
func (v *view) Labels() []string { return v.query["label"] }

// Filtered reports whether the page shows selected runs only.
func (v *view) Filtered() bool {
	for _, name := range strings.Fields(filterParameters) {
		if v.query.Get(name) != "" {
			return true
		}
	}
	return false
}

// Kept returns the parameters that a form keeps: the reader's choices.
func (v *view) Kept() url.Values {
	kept := url.Values{}
	for _, name := range []string{"lang", "scheme"} {
		if v.query.Get(name) != "" {
			kept.Set(name, v.query.Get(name))
		}
	}
	return kept
}

// A form is what the form of a selection proposes.
type form struct {
	Procedures, Boards []string
	Verdicts           []choice
}

func newForm(ctx context.Context, db *database.DB, v *view) (f form, err error) {
	f.Verdicts = v.verdicts()
	if f.Procedures, err = names(ctx, db, "procedure"); err == nil {
		f.Boards, err = names(ctx, db, "board")
	}
	return f, err
}

// maxNames is how many names a form proposes.
const maxNames = 500

// names returns the distinct values of a column of runs that has an index. It steps from one value to the next,
// so that its time depends on the number of values and not on that of runs.
func names(ctx context.Context, db *database.DB, column string) ([]string, error) {
	query := `WITH RECURSIVE found(name) AS (
		SELECT min(` + column + `) FROM runs
		UNION ALL SELECT (SELECT min(` + column + `) FROM runs WHERE ` + column + ` > found.name) FROM found WHERE found.name IS NOT NULL)
		SELECT name FROM found WHERE name <> '' LIMIT ` + strconv.Itoa(maxNames)
	return database.Collect(ctx, db, func(rows *sql.Rows) (name string, err error) { return name, rows.Scan(&name) }, query)
}
