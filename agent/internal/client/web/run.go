package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report/html"
)

// tableSteps is how many steps the table of a run shows at once.
const tableSteps = 100

// runPage is the page of one run.
type runPage struct {
	listed
	Report   string // address; empty for a run that has none
	Facts    []fact
	Progress *progress // of a run in progress
	Steps    []stepRow
	Pages    pages
	Scale    string // the end of the axis of the charts
	Compare  []choice
}

// A fact is a line about a run. The address is empty where there is none.
type fact struct{ Name, Value, Address string }

// A stepRow is a step of a run.
type stepRow struct {
	step
	Class, Symbol, Result, Took, Timeout string
	Chart                                []htmlkit.Mark
}

func (s *Site) run(ctx context.Context, db *database.DB, v *view) (string, any, error) {
	page, err := v.number("page", 1_000_000)
	if err != nil {
		return "", nil, err
	}
	r, err := find(ctx, db, v.request.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	p := runPage{listed: v.listed(r), Facts: v.facts(r)}
	if r.Kind == database.KindRun && r.Steps > 0 {
		p.Report = v.Link("/run/" + r.ID + "/report")
	}
	if p.Face.Class == "running" {
		now, err := v.progress(ctx, db, r)
		if err != nil {
			return "", nil, err
		}
		p.Progress = &now
	}
	first := (page-1)*tableSteps + 1
	steps, err := stepRows(ctx, db, r.ID, first, first+tableSteps-1)
	if err != nil {
		return "", nil, err
	}
	p.Steps, p.Scale = v.stepTable(steps)
	p.Pages = v.pages("page", page, int(r.Steps), tableSteps)
	p.Compare, err = comparable(ctx, db, v, r)
	return r.Procedure, p, err
}

// find returns the run of a name. That there is none, or more than one, is ErrMissing.
func find(ctx context.Context, db *database.DB, name string) (database.Run, error) {
	run, err := db.Run(ctx, name)
	if err != nil && !errors.Is(err, database.ErrAway) && ctx.Err() == nil {
		err = missing{err}
	}
	return run, err
}

// missing is an error because something is not in the database, with its sentence.
type missing struct{ error }

// Unwrap returns the sentence and its kind.
func (m missing) Unwrap() []error { return []error{m.error, database.ErrMissing} }

// facts returns what is known of a run, besides its result.
func (v *view) facts(r database.Run) []fact {
	w := v.Words
	procedure := r.Procedure
	if r.Version > 0 {
		procedure = fmt.Sprintf("%s@%d", r.Procedure, r.Version)
	}
	all := []fact{{w.Procedure, procedure, v.Link("/procedure", "name", r.Procedure)}}
	add := func(name, value, address string) {
		if value != "" {
			all = append(all, fact{name, value, address})
		}
	}
	add(w.Board, r.Board, v.Link("/", "board", r.Board))
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		label := key + "=" + r.Labels[key]
		add(w.Label, label, v.Link("/", "label", label))
	}
	add(w.Started, v.Time(r.Started), "")
	if r.Duration > 0 {
		add(w.Duration, w.Time(r.Duration), "")
	}
	add(w.Address, r.Address, "")
	add(w.Session, r.Session, "")
	add(w.Agent, r.Agent, "")
	if r.Client != "" {
		add(w.Client, "stepctl "+r.Client, "")
	}
	add(w.Host, r.Host, "")
	if r.Entry > 0 {
		add(w.Entry, fmt.Sprint(r.Entry), v.Link("/queue"))
		add(w.Attempt, fmt.Sprint(r.Attempt), "")
		add(w.Worker, r.Worker, "")
	}
	add(w.Checksum, r.ProcedureSHA256, "")
	add(w.RecordChecksum, r.RecordSHA256, "")
	return all
}

// farTimes bounds the axis of the charts: a timeout longer than this many times every response is an arrow.
const farTimes = 10

// stepTable returns the rows of steps, and the end of the axis of their charts.
func (v *view) stepTable(steps []step) ([]stepRow, string) {
	var took, timeout float64
	for _, s := range steps {
		took = max(took, s.Took.V)
	}
	for _, s := range steps {
		if s.Timeout <= farTimes*took {
			timeout = max(timeout, s.Timeout)
		}
	}
	end := database.Duration(max(took, timeout, 0.001) * 1.02)
	var rows []stepRow
	for _, s := range steps {
		row := stepRow{step: s, Result: v.Words.Results[s.Outcome], Took: "–", Timeout: v.Words.Wait(database.Duration(s.Timeout))}
		row.Class, row.Symbol = htmlkit.Look(s.Outcome)
		if s.Took.Valid {
			row.Took = v.Words.Time(database.Duration(s.Took.V))
			at := htmlkit.Scale(database.Duration(s.Took.V), end)
			row.Chart = append(row.Chart, htmlkit.Mark{Class: "w" + row.Class, Path: htmlkit.Bar(0, max(at, 3), 4, 16)})
		}
		limit := htmlkit.Mark{Class: "x", Path: "M990 4L999 10L990 16Z"}
		if s.Timeout <= end.Seconds() {
			limit = htmlkit.Mark{Class: "l", Path: fmt.Sprintf("M%d 0V20", htmlkit.Scale(database.Duration(s.Timeout), end))}
		}
		row.Chart = append(row.Chart, limit)
		rows = append(rows, row)
	}
	return rows, v.Words.Time(end)
}

// comparable returns what a run can be compared with: the run before it at the same board, and baselines.
func comparable(ctx context.Context, db *database.DB, v *view, r database.Run) (all []choice, err error) {
	before, err := db.Runs(ctx, database.Filter{Kind: r.Kind, Procedure: r.Procedure, Board: r.Board, Before: r.ID, Limit: 1})
	if err != nil {
		return nil, err
	}
	for _, b := range before {
		all = append(all, choice{Word: fmt.Sprintf(v.Words.RunBefore, v.Time(b.Started)), Address: v.Link("/compare", "run", r.ID, "with", b.ID)})
	}
	baselines, err := baselineNames(ctx, db, r.Procedure)
	for _, name := range baselines {
		all = append(all, choice{Word: v.Words.Baseline + " " + name, Address: v.Link("/compare", "run", r.ID, "with", name)})
	}
	return all, err
}

// reportTimeout limits making a report, which reads the whole record.
const reportTimeout = time.Minute

// report serves the HTML report of a run, as stepctl report writes it. The report brings its own policy, which
// allows it no more than its style sheet; the header says the same, and keeps other pages from embedding it.
func (s *Site) report(w http.ResponseWriter, r *http.Request) {
	v, err := s.view(r, "")
	if err != nil {
		s.fail(w, r, v, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), reportTimeout)
	defer cancel()
	var page bytes.Buffer
	own, err := html.Policy(v.Lang)
	if err == nil {
		err = s.writeReport(ctx, &page, r.PathValue("id"), v.Lang)
	}
	if err != nil {
		s.fail(w, r, v, s.source.explain(ctx, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", own+"; frame-ancestors 'none'")
	h.Set("Vary", "Accept-Language")
	serve(w, r, http.StatusOK, page.Bytes())
}

func (s *Site) writeReport(ctx context.Context, to *bytes.Buffer, name string, language htmlkit.Language) error {
	db, err := s.source.get(ctx)
	if err != nil {
		return err
	}
	run, err := find(ctx, db, name)
	if err != nil {
		return err
	}
	from, err := db.Record(ctx, run.ID)
	if err != nil {
		return err
	}
	log, err := record.Read(from, "the record of run "+run.ID)
	if err != nil {
		return err
	}
	if len(log.Events) == 0 {
		return fmt.Errorf("the record of the run %s is %w", run.ID, database.ErrMissing)
	}
	folded, err := log.Fold()
	if err != nil {
		return err
	}
	return html.Write(to, folded, nil, language)
}
