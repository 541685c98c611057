package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"
)

// checkRun is DB.Check. It reads one snapshot, as events, run and steps change together while a run goes on.
func checkRun(ctx context.Context, db *DB, id string) (wrong []string, err error) {
	err = db.snapshot(ctx, func(tx *sql.Tx) error {
		wrong, err = checkStored(ctx, db, tx, id)
		return err
	})
	return wrong, err
}

// checkStored compares what a transaction sees of a run.
func checkStored(ctx context.Context, db *DB, tx querier, id string) ([]string, error) {
	run, err := readRun(ctx, tx, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, missingRun(id)
	case err != nil:
		return nil, err
	case run.Kind == KindLoad:
		return nil, nil // its result is all that there is
	}
	raw, err := io.ReadAll(&recordReader{ctx: ctx, db: db, from: tx, id: id})
	if err != nil {
		return nil, err
	}
	f := newFolded(run.Kind)
	f.add(raw)
	d := f.result()
	var wrong []string
	if f.broken != nil {
		wrong = append(wrong, fmt.Sprintf("the events contradict each other: %v", f.broken))
	}
	wrong = append(wrong, compareRun(&run, &d)...)
	steps, err := checkSteps(ctx, db, tx, id, &d)
	return append(wrong, steps...), err
}

// compareRun compares the columns of a run that are derived.
func compareRun(run *Run, d *derived) []string {
	var wrong []string
	check := func(what string, stored, derived any) {
		if stored != derived {
			wrong = append(wrong, fmt.Sprintf("%s is %v, and its events say %v", what, stored, derived))
		}
	}
	if run.State == Ended || d.State == Ended {
		check("the state", run.State, d.State)
	}
	sum := ""
	if d.SHA256 != nil {
		sum = *d.SHA256
	}
	check("the verdict", run.Verdict, d.Verdict)
	check("the cause", run.Cause, d.Cause)
	check("the duration", run.Duration, Duration(d.Duration))
	check("the number of steps", run.Steps, d.Steps)
	check("the number of passed steps", run.Passed, d.Passed)
	check("the number of failed steps", run.Failed, d.Failed)
	check("the number of undecided steps", run.Undecided, d.Undecided)
	check("the hash of the record", run.RecordSHA256, sum)
	if s := d.Start; s != nil {
		check("the hash of the procedure", run.ProcedureSHA256, storable(s.Procedure.SHA256))
		check("the start", run.Started.UTC(), s.Time.UTC().Truncate(time.Microsecond))
	}
	return wrong
}

// checkSteps compares the rows of steps.
func checkSteps(ctx context.Context, db *DB, tx querier, id string, d *derived) ([]string, error) {
	next := 0
	var wrong []string
	_, err := collect(ctx, db, tx, func(rows *sql.Rows) (struct{}, error) {
		row := make([]any, 10)
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return struct{}{}, err
		}
		if next < len(d.results) {
			want := stepValues(id, &d.results[next])
			want[1] = int64(d.results[next].Index)
			if !reflect.DeepEqual(row, want) {
				wrong = append(wrong, fmt.Sprintf("step %d is %v, and its events say %v", next+1, row[1:], want[1:]))
			}
		}
		next++
		return struct{}{}, nil
	}, "SELECT "+stepColumns+" FROM steps WHERE run = $1 ORDER BY idx", id)
	if next != len(d.results) {
		wrong = append(wrong, fmt.Sprintf("%d steps are stored, and the events have %d", next, len(d.results)))
	}
	return wrong, err
}
