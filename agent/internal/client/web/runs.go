package web

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

const (
	// maxRuns is how many runs the page of runs considers: the newest that are selected. Older ones are on
	// an earlier page.
	maxRuns = 3000
	// listRuns is how many runs the list shows at once.
	listRuns = 50
	// maxCards is how many runs in progress are shown.
	maxCards = 12
)

// A brief is a run as the grid needs it.
type brief struct {
	id, procedure, board string
	started              time.Time
	face                 face
}

// A face is how a run looks: its class in the style sheet, a symbol and a word. The class is the state or the
// verdict.
type face struct{ Class, Symbol, Word string }

// face returns the look of a run. One that has shown no sign of life is interrupted, though the database does
// not say so yet.
func (v *view) face(state database.State, verdict string, seen time.Time) face {
	if state == database.Running && v.now.Sub(seen) > database.InterruptedAfter {
		state = database.Interrupted
	}
	switch {
	case state == database.Running:
		return face{"running", "▶", v.Words.InProgress}
	case state == database.Interrupted && verdict != record.Fail.String():
		return face{"interrupted", "–", v.Words.Interrupted}
	case verdict == record.Pass.String():
		return face{verdict, "✓", v.Words.Marks[record.Pass]}
	case verdict == record.Fail.String():
		return face{verdict, "✗", v.Words.Marks[record.Fail]}
	}
	return face{"undecided", "?", v.Words.Marks[record.Undecided]}
}

// briefs returns the newest selected runs.
func briefs(ctx context.Context, db *database.DB, v *view, f database.Filter) ([]brief, error) {
	where, args := f.Where()
	query := fmt.Sprintf("SELECT id, procedure, board, started, seen, state, verdict FROM runs %s ORDER BY id DESC LIMIT %d", where, maxRuns+1)
	return database.Collect(ctx, db, func(rows *sql.Rows) (b brief, err error) {
		var started, seen database.Time
		var state, verdict string
		err = rows.Scan(&b.id, &b.procedure, &b.board, &started, &seen, &state, &verdict)
		b.started, b.face = time.Time(started), v.face(database.State(state), verdict, time.Time(seen))
		return b, err
	}, query, args...)
}

// runsPage is the page of runs.
type runsPage struct {
	form
	Cards []card // runs in progress
	More  int    // further ones
	Grid  grid
	List  []listed
	Pages pages
	// Count is how many runs are shown; Older is the address of the ones before them.
	Count string
	Older string
	Empty string // why there is none
}

// A listed is a run in the list.
type listed struct {
	database.Run
	Face face
	Took string
}

func (s *Site) runs(ctx context.Context, db *database.DB, v *view) (string, any, error) {
	f, err := v.filter()
	if err != nil {
		return "", nil, err
	}
	page, err := v.number("page", (maxRuns+listRuns-1)/listRuns)
	if err != nil {
		return "", nil, err
	}
	rowsPage, err := v.number("rows", maxRuns/gridRows)
	if err != nil {
		return "", nil, err
	}
	p := runsPage{}
	if p.form, err = newForm(ctx, db, v); err != nil {
		return "", nil, err
	}
	if p.Cards, p.More, err = cards(ctx, db, v); err != nil {
		return "", nil, err
	}
	all, err := briefs(ctx, db, v, f)
	if err != nil {
		return "", nil, err
	}
	if len(all) > maxRuns {
		all = all[:maxRuns]
		p.Older = v.Here("before", all[maxRuns-1].id, "page", "", "rows", "")
	}
	p.Count = v.count(len(all), p.Older != "")
	if len(all) == 0 {
		p.Empty = v.Words.NoRuns
		if v.Filtered() {
			p.Empty = v.Words.NoneSelected
		}
		return v.Words.Runs, p, nil
	}
	p.Grid = newGrid(v, f, all, rowsPage)
	p.Pages = v.pages("page", page, len(all), listRuns)
	p.List, err = list(ctx, db, v, f, all, page)
	return v.Words.Runs, p, err
}

// list returns a page of the list.
func list(ctx context.Context, db *database.DB, v *view, f database.Filter, all []brief, page int) ([]listed, error) {
	first := (page - 1) * listRuns
	if first >= len(all) {
		return nil, nil
	}
	if first > 0 {
		f.Before = all[first-1].id
	}
	f.Limit = min(listRuns, len(all)-first)
	runs, err := db.Runs(ctx, f)
	var found []listed
	for _, r := range runs {
		found = append(found, v.listed(r))
	}
	return found, err
}

func (v *view) listed(r database.Run) listed {
	l := listed{Run: r, Face: v.face(r.State, r.Verdict, r.Seen), Took: "–"}
	if r.Duration > 0 {
		l.Took = v.Words.Time(r.Duration)
	}
	return l
}

// verdicts returns the choices of the form.
func (v *view) verdicts() []choice {
	current := v.query.Get("verdict")
	all := []choice{{v.Words.All, "", current == ""}}
	for _, verdict := range []record.Verdict{record.Pass, record.Fail, record.Undecided} {
		all = append(all, choice{v.Words.Marks[verdict], verdict.String(), current == verdict.String()})
	}
	return append(all, choice{v.Words.InProgress, string(database.Running), current == string(database.Running)},
		choice{v.Words.Interrupted, interrupted, current == interrupted})
}

// count says how many runs are shown.
func (v *view) count(n int, more bool) string {
	switch {
	case more:
		return fmt.Sprintf(v.Words.Newest, n)
	case n == 1:
		return v.Words.OneRun
	}
	return fmt.Sprintf(v.Words.ManyRuns, n)
}

// pages are the links to the other pages of a list.
type pages struct {
	Range          string // which rows are shown
	Previous, Next string // addresses
}

// pages returns the links of a page of a list that has total rows, size on each page.
func (v *view) pages(parameter string, page, total, size int) pages {
	first, last := (page-1)*size+1, min(page*size, total)
	p := pages{Range: fmt.Sprintf(v.Words.Range, min(first, total), last, total)}
	if page > 1 {
		p.Previous = v.Here(parameter, fmt.Sprint(page-1))
	}
	if last < total {
		p.Next = v.Here(parameter, fmt.Sprint(page+1))
	}
	return p
}

// Legend returns the looks of runs.
func (v *view) Legend() []face {
	var all []face
	for _, verdict := range []record.Verdict{record.Pass, record.Fail, record.Undecided} {
		all = append(all, v.face(database.Ended, verdict.String(), v.now))
	}
	return append(all, v.face(database.Interrupted, "", v.now), v.face(database.Running, "", v.now))
}
