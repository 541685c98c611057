package web

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A card shows a run in progress.
type card struct {
	listed
	Progress progress
}

// progress is how far a run has come.
type progress struct {
	Cells []stepCell // of the steps, if they are few
	Done  int        // in thousandths
	Word  string     // such as: step 3 of 10
}

// A stepCell is a step in a strip.
type stepCell struct{ Class, Title string }

// stripSteps is how many steps a strip has; a longer procedure has a bar.
const stripSteps = 40

// cards returns the runs in progress, the newest first, and how many more there are.
func cards(ctx context.Context, db *database.DB, v *view) (all []card, more int, err error) {
	runs, err := db.Runs(ctx, database.Filter{State: database.Running, Limit: database.DefaultLimit})
	if err != nil {
		return nil, 0, err
	}
	for _, r := range runs {
		l := v.listed(r)
		if l.Face.Class != "running" {
			continue
		}
		if len(all) == maxCards {
			more++
			continue
		}
		p, err := v.progress(ctx, db, r)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, card{l, p})
	}
	return all, more, nil
}

// progress returns how far a run has come.
func (v *view) progress(ctx context.Context, db *database.DB, r database.Run) (progress, error) {
	done := r.Passed + r.Failed
	p := progress{Word: fmt.Sprintf(v.Words.StepOf, done, r.Steps)}
	if r.Steps == 0 {
		return p, nil
	}
	p.Done = int(done * 1000 / r.Steps)
	if r.Steps > stripSteps {
		return p, nil
	}
	steps, err := stepRows(ctx, db, r.ID, 1, stripSteps)
	next := false
	for _, s := range steps {
		class, _ := htmlkit.Look(s.Outcome)
		switch {
		case s.Outcome == record.Passed:
		case s.Outcome != record.NotRun && s.Outcome != record.Unanswered:
			class = "f"
		case !next && r.State == database.Running:
			next = true
			class = "next"
			p.Word = fmt.Sprintf(v.Words.StepNow, s.ID, s.Index, r.Steps)
		default:
			class = "n"
		}
		p.Cells = append(p.Cells, stepCell{class, fmt.Sprintf("%d: %s", s.ID, v.Words.Results[s.Outcome])})
	}
	return p, err
}

// stepRows returns steps of a run by their positions, from first to last.
func stepRows(ctx context.Context, db *database.DB, run string, first, last int) ([]step, error) {
	return database.Collect(ctx, db, scanStep, `SELECT idx, step_id, timeout, "interval", outcome, reason, took FROM steps
		WHERE run = $1 AND idx BETWEEN $2 AND $3 ORDER BY idx`, run, first, last)
}

// A step is the result of a step.
type step struct {
	Index    int
	ID       int64
	Timeout  float64 // seconds, as Interval and Took
	Interval float64
	Outcome  record.Outcome
	Reason   string
	Took     sql.Null[float64]
}

func scanStep(rows *sql.Rows) (s step, err error) {
	var outcome string
	if err = rows.Scan(&s.Index, &s.ID, &s.Timeout, &s.Interval, &outcome, &s.Reason, &s.Took); err == nil {
		err = s.Outcome.UnmarshalText([]byte(outcome))
	}
	return s, err
}
