package database

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A parsed is a sound record that is to be added.
type parsed struct {
	name  string
	meta  Meta
	lines []byte // without a last line that is cut
	fold  *folded
}

// parse reads a record and checks it. Errors begin with name and line.
func parse(name string, raw []byte, m Meta) (*parsed, error) {
	log, err := record.Read(bytes.NewReader(raw), name)
	if err != nil {
		return nil, err
	}
	p := &parsed{name: name, meta: m, lines: raw[:bytes.LastIndexByte(raw, '\n')+1], fold: newFolded(KindRun)}
	p.fold.sum.Write(p.lines)
	p.fold.addEvents(log.Events)
	var wrong *record.EventError
	switch start := p.fold.live.Run().Start; {
	case errors.As(p.fold.broken, &wrong):
		return nil, fmt.Errorf("%s:%d: %s", name, wrong.Event, wrong.Problem)
	case len(log.Events) == 0:
		return nil, fmt.Errorf("%s: there is no event, a record begins with its start", name)
	default:
		p.meta.Kind, p.meta.Started = KindRun, start.Time
		return p, p.meta.check(start.Time)
	}
}

// addRecord is DB.Add.
func addRecord(ctx context.Context, db *DB, name string, raw []byte, m Meta) (id string, added bool, err error) {
	p, err := parse(name, raw, m)
	if err != nil {
		return "", false, err
	}
	a := addAlone(ctx, db, p)
	return a.ID, a.Added, a.Err
}

// addAlone adds a record in a transaction of its own.
func addAlone(ctx context.Context, db *DB, p *parsed) Added {
	var a Added
	err := db.Write(ctx, func(tx *sql.Tx) (err error) {
		a, err = add(ctx, db, tx, p)
		return err
	})
	if err != nil {
		return Added{Name: p.name, Err: fmt.Errorf("%s: %w", p.name, err)}
	}
	return a
}

// add stores a record, unless it is there.
func add(ctx context.Context, db *DB, tx querier, p *parsed) (a Added, err error) {
	a.Name = p.name
	err = tx.QueryRowContext(ctx, "SELECT id FROM runs WHERE record_sha256 = $1", *p.fold.hash()).Scan(&a.ID)
	if !errors.Is(err, sql.ErrNoRows) {
		return a, err
	}
	if a.ID, err = sameRun(ctx, tx, p.fold, p.lines); err != nil {
		return a, err
	}
	a.Added = a.ID == ""
	if !a.Added {
		var state State
		var cause record.Cause
		err := tx.QueryRowContext(ctx, "SELECT state, cause FROM runs WHERE id = $1", a.ID).Scan(&state, &cause)
		resumable := state == Ended && cause == record.Interrupted
		if err != nil || state != Interrupted && !resumable {
			return a, err // its Recorder stores the rest, or it is complete
		}
	}
	m := p.meta // a copy: a transaction may be tried twice
	if a.Added {
		if err := setFreshID(ctx, tx, &m); err != nil {
			return a, err
		}
	}
	lines, err := merge(ctx, db, tx, &m, 1, p.lines, p.fold)
	a.ID, a.Completed = m.ID, !a.Added && lines > 0
	return a, err
}
