package database

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// Limits of one statement.
const (
	// chunkBytes is about how many bytes of lines one row of events has. A longer line has a row of
	// its own.
	chunkBytes = 64 << 10
	// stepRows is how many rows of steps one statement inserts.
	stepRows = 50
)

// insertRun inserts the row of a run that begins, and its labels.
func insertRun(ctx context.Context, db *DB, tx querier, m *Meta) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO runs (id, kind, procedure, version, board, address, client, host, started, seen, state,
		entry, attempt, worker) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, `+db.engine.Now()+`, 'running', $10, $11, $12)`,
		m.ID, string(m.Kind), m.Procedure, OrNull(m.Version), m.Board, storable(m.Address), storable(m.Client), storable(m.Host),
		Time(m.Started), OrNull(m.Entry), OrNull(m.Attempt), OrNull(m.Worker))
	for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO labels (run, key, value) VALUES ($1, $2, $3)", m.ID, key, m.Labels[key])
		}
	}
	return err
}

// countLines returns the number of whole lines.
func countLines(lines []byte) int64 { return int64(bytes.Count(lines, []byte{'\n'})) }

// insertEvents stores whole lines, of which the first has the number.
func insertEvents(ctx context.Context, tx querier, id string, first int64, lines []byte) error {
	for len(lines) > 0 {
		chunk := lines
		if len(chunk) > chunkBytes {
			end := bytes.LastIndexByte(chunk[:chunkBytes], '\n')
			if end < 0 {
				end = bytes.IndexByte(chunk, '\n')
			}
			chunk = chunk[:end+1]
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO events (run, first, lines) VALUES ($1, $2, $3)", id, first, string(chunk)); err != nil {
			return err
		}
		first += countLines(chunk)
		lines = lines[len(chunk):]
	}
	return nil
}

// updateRun stores what follows from the lines of a run, and what its first line says only with that
// line: indexed columns cost pages even where they do not change. A run without an end gets the state.
func updateRun(ctx context.Context, db *DB, tx querier, m *Meta, d *derived, withStart bool, open State) error {
	state := d.State
	if state == Running {
		state = open
	}
	set := `state = $2, cause = $3, verdict = $4, duration = $5, steps = $6, passed = $7, failed = $8, undecided = $9,
		record_sha256 = $10, result = $11, agent = $12, seen = ` + db.engine.Now()
	args := []any{m.ID, string(state), d.Cause, d.Verdict, d.Duration, d.Steps, d.Passed, d.Failed, d.Undecided, d.SHA256, d.Result, d.Agent}
	if s := d.Start; s != nil && withStart {
		set += `, procedure = $13, procedure_sha256 = $14, address = $15, session = $16, client = $17, host = $18, started = $19`
		procedure := m.Procedure
		if procedure == "" {
			procedure = ProcedureName(s.Procedure.Name)
		}
		args = append(args, procedure, storable(s.Procedure.SHA256), storable(s.Address), storable(s.Session), storable(s.Client),
			storable(s.Host), Time(s.Time))
	}
	_, err := tx.ExecContext(ctx, "UPDATE runs SET "+set+" WHERE id = $1", args...)
	return err
}

// stepColumns are the columns of a step, in the order of stepValues.
const stepColumns = "run, idx, step_id, timeout, interval, outcome, reason, sent_at, took, kept"

// stepValues returns the columns of a step.
func stepValues(id string, s *record.StepResult) []any {
	values := []any{id, s.Index, s.StepID, s.Timeout.Seconds(), s.Interval.Seconds(), s.Outcome.String(), storable(string(s.Reason)), nil, nil, nil}
	if s.Outcome != record.NotRun && s.Outcome != record.Unreachable {
		values[7] = s.SentAt.Seconds()
	}
	if s.Outcome == record.Passed || s.Outcome == record.Failed {
		values[8] = s.Took.Seconds()
	}
	if s.Kept.Declared {
		values[9] = s.Kept.Duration.Seconds()
	}
	return values
}

// upsertSteps stores the results of steps, some of which may be there.
func upsertSteps(ctx context.Context, tx querier, id string, steps []record.StepResult) error {
	for batch := range slices.Chunk(steps, stepRows) {
		var args []any
		for i := range batch {
			args = append(args, stepValues(id, &batch[i])...)
		}
		query := "INSERT INTO steps (" + stepColumns + ") VALUES " + placeholderRows(len(batch), len(args)/len(batch)) +
			" ON CONFLICT (run, idx) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason," +
			" sent_at = excluded.sent_at, took = excluded.took, kept = excluded.kept"
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("steps: %w", err)
		}
	}
	return nil
}

// store stores lines that were folded already, and what has changed by them. A run without an end
// gets the state.
func store(ctx context.Context, db *DB, tx querier, m *Meta, f *folded, lines []byte, open State) error {
	d := f.result()
	first := f.lines - countLines(lines) + 1
	if m.Kind == KindRun {
		if err := insertEvents(ctx, tx, m.ID, first, lines); err != nil {
			return err
		}
	}
	var steps []record.StepResult
	for _, index := range slices.Sorted(maps.Keys(f.changed)) {
		if index <= len(d.results) {
			steps = append(steps, d.results[index-1])
		}
	}
	if err := upsertSteps(ctx, tx, m.ID, steps); err != nil {
		return err
	}
	return updateRun(ctx, db, tx, m, &d, first == 1, open)
}
