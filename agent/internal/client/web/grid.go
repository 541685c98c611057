package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

const (
	// gridColumns is how many spans of time the grid has at most, gridRows how many procedures at once.
	gridColumns = 30
	gridRows    = 20
	// cellRuns is how many runs of a cell have a mark each; more are drawn as parts of one.
	cellRuns = 4
)

// A grid shows runs by procedure and time.
type grid struct {
	Columns []column
	Rows    []gridRow
	Pages   pages
	Caption string
}

// A column is a span of time.
type column struct {
	from, to     time.Time
	Word, Detail string // such as 30, and Mon 30 November 2026
	Strong       bool   // begins a larger unit of time
}

// A gridRow is a procedure.
type gridRow struct {
	Procedure, Address string
	Cells              []cell
}

// A cell has the runs of a procedure in a span of time.
type cell struct {
	Runs []marked
	// Of more than cellRuns runs: their number, the address of their list, and the shares of the verdicts.
	Count   int
	Address string
	Title   string
	Parts   []part
}

// A marked is a run in a cell.
type marked struct {
	face
	ID, Title string
}

// A part is the share of a verdict, in thousandths of the width.
type part struct {
	Class       string
	From, Width int
}

// newGrid returns the grid of runs, which are the newest first.
func newGrid(v *view, f database.Filter, runs []brief, page int) grid {
	oldest, newest := runs[len(runs)-1].started, runs[0].started
	// Time without runs shows, but the grid grows once an hour at most.
	from, to := oldest, v.now.Truncate(time.Hour)
	if newest.After(to) || f.Before != "" {
		to = newest
	}
	if !f.Since.IsZero() {
		from = f.Since
	}
	if !f.Until.IsZero() {
		to = f.Until.Add(-time.Nanosecond)
	}
	g := grid{Columns: columns(from, to)}
	byProcedure := map[string][]brief{}
	for _, r := range runs {
		byProcedure[r.procedure] = append(byProcedure[r.procedure], r)
	}
	procedures := slices.Sorted(maps.Keys(byProcedure))
	g.Pages = v.pages("rows", page, len(procedures), gridRows)
	g.Caption = fmt.Sprintf(v.Words.GridCaption, v.Time(oldest), v.Time(newest))
	first := min((page-1)*gridRows, len(procedures))
	for _, name := range procedures[first:min(first+gridRows, len(procedures))] {
		row := gridRow{Procedure: name, Address: v.Link("/trend", "procedure", name), Cells: make([]cell, len(g.Columns))}
		rest := byProcedure[name]
		for i := range slices.Backward(g.Columns) {
			n := slices.IndexFunc(rest, func(r brief) bool { return r.started.Before(g.Columns[i].from) })
			if n < 0 || i == 0 {
				n = len(rest)
			}
			row.Cells[i] = newCell(v, name, g.Columns[i], rest[:n])
			rest = rest[n:]
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// newCell returns the cell of runs, which are the newest first.
func newCell(v *view, procedure string, span column, runs []brief) cell {
	c := cell{Count: len(runs)}
	if len(runs) <= cellRuns {
		for _, r := range slices.Backward(runs) {
			title := []string{r.face.Word, v.Time(r.started)}
			if r.board != "" {
				title = append(title, r.board)
			}
			c.Runs = append(c.Runs, marked{r.face, r.id, strings.Join(title, ", ")})
		}
		return c
	}
	c.Address = v.Here("procedure", procedure, "since", span.from.Format(time.RFC3339), "until", span.to.Format(time.RFC3339), "page", "", "rows", "")
	counts, words := map[string]int{}, map[string]string{}
	for _, r := range runs {
		counts[r.face.Class]++
		words[r.face.Class] = r.face.Word
	}
	at := 0
	title := []string{v.count(len(runs), false)}
	for _, class := range []string{"pass", "fail", "undecided", "interrupted", "running"} {
		if n := counts[class]; n > 0 {
			width := max(n*1000/len(runs), 60) // visible, however few
			c.Parts = append(c.Parts, part{class, at, width})
			at += width
			title = append(title, fmt.Sprintf("%s %d", words[class], n))
		}
	}
	for i := range c.Parts { // to 1000 in all
		c.Parts[i].From, c.Parts[i].Width = c.Parts[i].From*1000/at, c.Parts[i].Width*1000/at
	}
	c.Title = strings.Join(title, ", ")
	return c
}

// A span is a width that a column may have. Days and more follow the calendar.
type span struct {
	length       time.Duration
	days         int
	word, detail string // forms of the time at which a column begins
}

var spans = []span{
	{time.Minute, 0, "15:04", "2006-01-02 15:04"}, {5 * time.Minute, 0, "15:04", "2006-01-02 15:04"}, {15 * time.Minute, 0, "15:04", "2006-01-02 15:04"},
	{time.Hour, 0, "15", "2006-01-02 15:04"}, {3 * time.Hour, 0, "15", "2006-01-02 15:04"}, {6 * time.Hour, 0, "15", "2006-01-02 15:04"},
	{day, 1, "2", "2006-01-02"}, {2 * day, 2, "2", "2006-01-02"}, {7 * day, 7, "2", "2006-01-02"}, {14 * day, 14, "2", "2006-01-02"},
	{28 * day, 28, "1-2", "2006-01-02"}, {91 * day, 91, "1-2", "2006-01-02"}, {364 * day, 364, "2006", "2006-01-02"}, {3640 * day, 3640, "2006", "2006-01-02"},
}

const day = 24 * time.Hour

// columns divides the time into at most gridColumns spans, and at least one.
func columns(from, to time.Time) []column {
	at := slices.IndexFunc(spans, func(s span) bool { return to.Sub(from) <= (gridColumns-1)*s.length })
	if at < 0 {
		at = len(spans) - 1
	}
	width := spans[at]
	from, to = from.Local(), to.Local()
	midnight := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.Local)
	begin := midnight
	if width.days == 0 {
		begin = midnight.Add(from.Sub(midnight).Truncate(width.length))
	}
	var all []column
	for last := ""; !begin.After(to) || len(all) == 0; {
		end := begin.Add(width.length)
		if width.days > 0 {
			end = begin.AddDate(0, 0, width.days)
		}
		unit := begin.Format(map[bool]string{true: "2006-01", false: "01-02"}[width.days > 0])
		all = append(all, column{begin, end, begin.Format(width.word), begin.Format(width.detail), unit != last})
		begin, last = end, unit
	}
	return all
}
