package database

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A Baseline is a named set of runs of one procedure, which later runs are compared with.
type Baseline struct {
	Procedure string
	Name      string
	// Made is when it was set.
	Made time.Time
	// Runs are the ids of its runs, the oldest first.
	Runs []string
}

// setBaseline is DB.SetBaseline.
func setBaseline(ctx context.Context, db *DB, procedure, name string, runs []string) error {
	if err := CheckName("baseline", name); err != nil {
		return err
	}
	if len(runs) == 0 {
		return fmt.Errorf("the baseline %q has no runs; name at least one", name)
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM baselines WHERE procedure = $1 AND name = $2", procedure, name); err != nil {
			return err
		}
		for _, run := range runs {
			added, err := tx.ExecContext(ctx, `INSERT INTO baselines (procedure, name, run, made)
				SELECT procedure, $2, id, `+db.engine.Now()+` FROM runs WHERE id = $3 AND procedure = $1 ON CONFLICT DO NOTHING`, procedure, name, run)
			if err != nil {
				return err
			}
			if n, err := added.RowsAffected(); err == nil && n == 0 {
				return fmt.Errorf("the run %s of %q is %w, or is named twice", run, procedure, ErrMissing)
			}
		}
		return nil
	})
}

// baselines is DB.Baselines.
func baselines(ctx context.Context, db *DB, procedure string) ([]Baseline, error) {
	var all []Baseline
	_, err := Collect(ctx, db, func(rows *sql.Rows) (struct{}, error) {
		var b Baseline
		var run string
		var made Time
		if err := rows.Scan(&b.Procedure, &b.Name, &run, &made); err != nil {
			return struct{}{}, err
		}
		if n := len(all); n == 0 || all[n-1].Procedure != b.Procedure || all[n-1].Name != b.Name {
			b.Made = time.Time(made)
			all = append(all, b)
		}
		last := &all[len(all)-1]
		last.Runs = append(last.Runs, run)
		return struct{}{}, nil
	}, "SELECT procedure, name, run, made FROM baselines WHERE procedure = $1 OR $1 = '' ORDER BY procedure, name, run", procedure)
	return all, err
}

// dropBaseline is DB.DropBaseline.
func dropBaseline(ctx context.Context, db *DB, procedure, name string) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		removed, err := tx.ExecContext(ctx, "DELETE FROM baselines WHERE procedure = $1 AND name = $2", procedure, name)
		if err != nil {
			return err
		}
		if n, err := removed.RowsAffected(); err == nil && n == 0 {
			return fmt.Errorf("the baseline %q of %q is %w", name, procedure, ErrMissing)
		}
		return nil
	})
}
