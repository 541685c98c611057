package database

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// merge stores those lines of a run that are not stored yet, and the run itself if it is new. first
// is the number of the first line. A run that is there under another id, because its record was
// added, is not stored twice: m gets its id. whole is what follows from the lines if they are the
// whole record and were folded already; else nil. merge returns how many lines it has stored.
func merge(ctx context.Context, db *DB, tx querier, m *Meta, first int64, lines []byte, whole *folded) (int64, error) {
	exists, err := lockRun(ctx, db, tx, m, first, lines, whole)
	if err != nil {
		return 0, err
	}
	f := newFolded(m.Kind)
	switch {
	case exists:
		lines, err = foldStored(ctx, tx, m.ID, f, first, lines)
	case first > 1:
		err = fmt.Errorf("the run %s is %w, and its first %d lines are missing", m.ID, ErrMissing, first-1)
	default:
		err = insertRun(ctx, db, tx, m)
	}
	if err != nil {
		return 0, err
	}
	if !exists && whole != nil {
		return whole.lines, store(ctx, db, tx, m, whole, lines, Interrupted)
	}
	clear(f.changed)
	before := f.lines
	f.add(lines) // a line that is wrong is stored, and the run is undecided
	return f.lines - before, store(ctx, db, tx, m, f, lines, Interrupted)
}

// lockRun finds the run, and locks its row until the end of the transaction.
func lockRun(ctx context.Context, db *DB, tx querier, m *Meta, first int64, lines []byte, whole *folded) (bool, error) {
	id, err := sameID(ctx, tx, m.ID)
	if err == nil && id == "" && first == 1 && m.Kind == KindRun {
		if whole == nil {
			whole = newFolded(KindRun)
			start, _, _ := bytes.Cut(lines, []byte{'\n'})
			whole.add(lines[:min(len(start)+1, len(lines))])
		}
		id, err = sameRun(ctx, tx, whole, lines)
	}
	if err != nil || id == "" {
		return false, err
	}
	m.ID = id
	_, err = tx.ExecContext(ctx, "UPDATE runs SET seen = "+db.engine.Now()+" WHERE id = $1", id)
	return true, err
}

// sameID returns the id if there is a run with it; else an empty one.
func sameID(ctx context.Context, tx querier, id string) (found string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT id FROM runs WHERE id = $1", id).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return found, err
}

// setFreshID gives a new run another id if there is a run with its own. Records that were copied can
// have the same start by the thousand, so that after a few attempts the fraction is random too.
func setFreshID(ctx context.Context, tx querier, m *Meta) error {
	for attempt := 0; ; attempt++ {
		taken, err := sameID(ctx, tx, m.ID)
		if err != nil || taken == "" {
			return err
		}
		at := m.Started
		if attempt > 2 {
			at = at.Truncate(time.Second).Add(rand.N(time.Second))
		}
		m.ID = NewID(at)
	}
}

// sameRun returns the run whose record begins with the same line, which has the time in nanoseconds,
// session and machine; empty for none. f has folded the line.
func sameRun(ctx context.Context, tx querier, f *folded, lines []byte) (string, error) {
	began := f.live.Run().Start
	if began.Time.IsZero() {
		return "", nil // a wrong line is that of no other run
	}
	start, _, _ := bytes.Cut(lines, []byte{'\n'})
	rows, err := tx.QueryContext(ctx, "SELECT id, lines FROM runs JOIN events ON run = id AND first = 1 WHERE started = $1 AND session = $2",
		Time(began.Time), storable(began.Session))
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }() // rows.Err has its error
	for rows.Next() {
		var id, stored string
		if err := rows.Scan(&id, &stored); err != nil {
			return "", err
		}
		if other, _, _ := bytes.Cut([]byte(stored), []byte{'\n'}); bytes.Equal(other, start) {
			return id, rows.Close()
		}
	}
	return "", rows.Err()
}

// foldStored folds what is stored of a run, and returns the lines that follow it. It fails if lines
// are missing between, or if those that are there already are others.
func foldStored(ctx context.Context, tx querier, id string, f *folded, first int64, lines []byte) ([]byte, error) {
	rows, err := tx.QueryContext(ctx, "SELECT lines FROM events WHERE run = $1 ORDER BY first", id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has its error
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		for line := range bytes.Lines([]byte(text)) {
			f.add(line)
			if f.lines < first || len(lines) == 0 {
				continue
			}
			if !bytes.HasPrefix(lines, line) {
				return nil, fmt.Errorf("line %d of the run %s is stored already and is another one", f.lines, id)
			}
			lines = lines[len(line):]
		}
	}
	if f.lines+1 < first {
		return nil, fmt.Errorf("the lines %d to %d of the run %s are missing", f.lines+1, first-1, id)
	}
	return lines, rows.Err()
}
