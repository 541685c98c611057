package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Run is the row of a run.
type Run struct {
	ID   string
	Kind Kind
	// Procedure is the name, Version that of the database or 0, ProcedureSHA256 the hash of the step
	// file.
	Procedure       string
	Version         int64
	ProcedureSHA256 string
	Board           string
	// Address, Session, Client, Agent and Host are those of the record.
	Address, Session, Client, Agent, Host string
	// Started is the start, Seen the last sign of life.
	Started, Seen time.Time
	State         State
	// Cause is record.Cause; empty without an end.
	Cause string
	// Verdict is pass, fail or undecided.
	Verdict string
	// Duration is the time of the last event, to the nanosecond for runs up to 100 days.
	Duration time.Duration
	// Steps = Passed + Failed + Undecided.
	Steps, Passed, Failed, Undecided int64
	// RecordSHA256 is the hash of the record; empty until the run has ended.
	RecordSHA256 string
	// Result is the JSON object of a load test.
	Result string
	// Entry, Attempt and Worker say which entry of the queue asked for the run.
	Entry, Attempt int64
	Worker         string
	// Labels is nil for none.
	Labels map[string]string
}

// runColumns are the columns that scanRun reads, of runs.
const runColumns = `id, kind, procedure, coalesce(version, 0), procedure_sha256, board, address, session, client, agent, host,
	started, seen, state, cause, verdict, duration, steps, passed, failed, undecided, coalesce(record_sha256, ''),
	coalesce(result, ''), coalesce(entry, 0), coalesce(attempt, 0), coalesce(worker, '')`

func scanRun(row interface{ Scan(...any) error }) (r Run, err error) {
	var started, seen Time
	var duration float64
	err = row.Scan(&r.ID, &r.Kind, &r.Procedure, &r.Version, &r.ProcedureSHA256, &r.Board, &r.Address, &r.Session, &r.Client, &r.Agent, &r.Host,
		&started, &seen, &r.State, &r.Cause, &r.Verdict, &duration, &r.Steps, &r.Passed, &r.Failed, &r.Undecided, &r.RecordSHA256,
		&r.Result, &r.Entry, &r.Attempt, &r.Worker)
	r.Started, r.Seen, r.Duration = time.Time(started), time.Time(seen), Duration(duration)
	return r, err
}

// readRun reads the run with an id, without its labels.
func readRun(ctx context.Context, from querier, id string) (Run, error) {
	return scanRun(from.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE id = $1", id))
}

// Duration returns the seconds of a column as a duration.
func Duration(seconds float64) time.Duration {
	return time.Duration(seconds*float64(time.Second) + 0.5)
}

// Run returns the run whose id is or begins or ends with name; "last" is the newest. It fails if
// there is none (errors.Is(err, ErrMissing)) or more than one.
func (db *DB) Run(ctx context.Context, name string) (Run, error) {
	id, err := findRun(ctx, db, name)
	if err != nil {
		return Run{}, err
	}
	run, err := readRun(ctx, db.read, id)
	if err != nil {
		return Run{}, db.fault(err)
	}
	runs := []Run{run}
	err = addLabels(ctx, db, runs)
	return runs[0], err
}

// findRun returns the id that name stands for.
func findRun(ctx context.Context, db *DB, name string) (string, error) {
	if name == "last" {
		var id string
		err := db.read.QueryRowContext(ctx, "SELECT id FROM runs ORDER BY id DESC LIMIT 1").Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return "", fmt.Errorf("a run is %w: there is none yet", ErrMissing)
		}
		return id, db.fault(err)
	}
	if !IsPartOfID(name) {
		return "", fmt.Errorf("%q is no id of a run, which has the form 20261130T001422-7f3a9c", name)
	}
	scan := func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) }
	// '~' sorts after all characters of an id.
	ids, err := Collect(ctx, db, scan, "SELECT id FROM runs WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2", name, name+"~")
	if err == nil && len(ids) == 0 {
		ids, err = Collect(ctx, db, scan, "SELECT id FROM runs WHERE id LIKE $1 LIMIT 2", "%"+name)
	}
	switch {
	case err != nil:
		return "", err
	case len(ids) == 0:
		return "", fmt.Errorf("the run %s is %w; list the runs with \"stepctl history\"", name, ErrMissing)
	case len(ids) > 1:
		return "", fmt.Errorf("more than one run is named %s, such as %s and %s; give more of the id", name, ids[0], ids[1])
	}
	return ids[0], nil
}

// Record returns the bytes of the record of a run, by its full id. The reader reads on while the
// context is not cancelled; the record of a load test is empty.
func (db *DB) Record(ctx context.Context, id string) (io.Reader, error) {
	var exists int64
	err := db.read.QueryRowContext(ctx, "SELECT count(*) FROM runs WHERE id = $1", id).Scan(&exists)
	switch {
	case err != nil:
		return nil, db.fault(err)
	case exists == 0:
		return nil, missingRun(id)
	}
	return &recordReader{ctx: ctx, db: db, from: db.read, id: id}, nil
}

// missingRun returns the error for the full id of a run that is not there.
func missingRun(id string) error { return fmt.Errorf("the run %s is %w", id, ErrMissing) }

// A recordReader reads one row of events at a time, so that a long record needs no more memory than
// a row, and holds no connection between two of them.
type recordReader struct {
	ctx   context.Context //nolint:containedctx // an io.Reader has no other place for it
	db    *DB
	from  querier
	id    string
	first int64  // of the row that was read last
	rest  string // of that row
}

// Read returns the next bytes.
func (r *recordReader) Read(p []byte) (int, error) {
	for r.rest == "" {
		err := r.from.QueryRowContext(r.ctx, "SELECT first, lines FROM events WHERE run = $1 AND first > $2 ORDER BY first LIMIT 1",
			r.id, r.first).Scan(&r.first, &r.rest)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, r.db.fault(err)
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Runs returns the selected runs, the newest first.
func (db *DB) Runs(ctx context.Context, f Filter) ([]Run, error) {
	return listRuns(ctx, db, f)
}

// Check compares what is stored of a run, by its full id, with what follows from its events. It
// returns a sentence for each difference; none if everything is right.
func (db *DB) Check(ctx context.Context, id string) ([]string, error) {
	return checkRun(ctx, db, id)
}

// Prune removes the runs that are not to be kept; with dry it only counts them. SQLite files do not
// become smaller: the space is used again.
func (db *DB) Prune(ctx context.Context, r Retention, dry bool) (Pruned, error) {
	return prune(ctx, db, r, dry)
}

// MarkInterrupted marks the runs whose client has shown no sign of life for InterruptedAfter, by the
// clock of the database, and returns how many. Open does so.
func (db *DB) MarkInterrupted(ctx context.Context) (int64, error) {
	return markInterrupted(ctx, db)
}

// SetBaseline makes the runs, by their full ids, a baseline of their procedure. It replaces one with
// the same name. It fails if a run is of another procedure or is not in the database
// (errors.Is(err, ErrMissing)).
func (db *DB) SetBaseline(ctx context.Context, procedure, name string, runs []string) error {
	return setBaseline(ctx, db, procedure, name, runs)
}

// Baselines returns the baselines of a procedure, or of all if it is empty, in the order of procedure and
// name.
func (db *DB) Baselines(ctx context.Context, procedure string) ([]Baseline, error) {
	return baselines(ctx, db, procedure)
}

// DropBaseline removes a baseline; its runs remain. errors.Is(err, ErrMissing) says that there is none.
func (db *DB) DropBaseline(ctx context.Context, procedure, name string) error {
	return dropBaseline(ctx, db, procedure, name)
}
