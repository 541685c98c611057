package database

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// DefaultLimit is the number of runs that Runs returns at most, unless the filter has a limit.
const DefaultLimit = 100

// A Filter selects runs. The zero value of a field selects all.
type Filter struct {
	Kind      Kind
	Procedure string
	// Content is the hash of the step file, hexadecimal.
	Content string
	// HasContent selects runs with such a hash. Load tests have none, nor has a run before its first event.
	HasContent bool
	Board      string
	Verdict    string
	State      State
	// Baseline is the name of a baseline of the procedure that the run belongs to.
	Baseline string
	// Labels are those that a run must have.
	Labels map[string]string
	// Since and Until are limits of the start: at Since or later, and before Until. They are exact to
	// 1/4096 s.
	Since, Until time.Time
	// Before is the id of a run: the next page begins with the run before it.
	Before string
	// Limit is the number of runs; 0 for DefaultLimit.
	Limit int
}

// Where returns the condition on the table runs, beginning with WHERE or empty, and its arguments.
// Placeholders count from $1.
func (f Filter) Where() (string, []any) {
	var conditions []string
	var args []any
	add := func(condition string, values ...any) {
		for _, value := range values {
			args = append(args, value)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		conditions = append(conditions, condition)
	}
	for _, equal := range []struct{ column, value string }{
		{"kind", string(f.Kind)}, {"procedure", f.Procedure}, {"procedure_sha256", f.Content}, {"board", f.Board}, {"verdict", f.Verdict}, {"state", string(f.State)},
	} {
		if equal.value != "" {
			add("runs."+equal.column+" = ?", equal.value)
		}
	}
	if f.HasContent {
		add("runs.procedure_sha256 <> ''")
	}
	if !f.Since.IsZero() {
		add("runs.id >= ?", idAt(f.Since))
	}
	if !f.Until.IsZero() {
		add("runs.id < ?", idAt(f.Until))
	}
	if f.Before != "" {
		add("runs.id < ?", f.Before)
	}
	if f.Baseline != "" {
		add("EXISTS (SELECT 1 FROM baselines AS b WHERE b.run = runs.id AND b.procedure = runs.procedure AND b.name = ?)", f.Baseline)
	}
	for _, key := range slices.Sorted(maps.Keys(f.Labels)) {
		add("runs.id IN (SELECT run FROM labels WHERE key = ? AND value = ?)", key, f.Labels[key])
	}
	if len(conditions) == 0 {
		return "", nil
	}
	return "WHERE " + strings.Join(conditions, " AND "), args
}

// listRuns is DB.Runs.
func listRuns(ctx context.Context, db *DB, f Filter) ([]Run, error) {
	query, args := f.query()
	runs, err := Collect(ctx, db, func(rows *sql.Rows) (Run, error) { return scanRun(rows) }, query, args...)
	if err != nil {
		return nil, err
	}
	return runs, addLabels(ctx, db, runs)
}

// query returns the statement of a page of runs.
func (f Filter) query() (string, []any) {
	where, args := f.Where()
	limit := f.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	return fmt.Sprintf("SELECT %s FROM runs %s ORDER BY id DESC LIMIT %d", runColumns, where, limit), args
}

// labelRuns is how many runs one query reads the labels of.
const labelRuns = 500

// addLabels sets the labels of runs.
func addLabels(ctx context.Context, db *DB, runs []Run) error {
	for batch := range slices.Chunk(runs, labelRuns) {
		at := make(map[string]*Run, len(batch))
		var ids []any
		for i := range batch {
			at[batch[i].ID] = &batch[i]
			ids = append(ids, batch[i].ID)
		}
		_, err := Collect(ctx, db, func(rows *sql.Rows) (struct{}, error) {
			var id, key, value string
			err := rows.Scan(&id, &key, &value)
			if run := at[id]; run != nil {
				if run.Labels == nil {
					run.Labels = map[string]string{}
				}
				run.Labels[key] = value
			}
			return struct{}{}, err
		}, "SELECT run, key, value FROM labels WHERE run IN "+Placeholders(0, len(ids)), ids...)
		if err != nil {
			return err
		}
	}
	return nil
}
