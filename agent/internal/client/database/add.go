package database

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// Add takes in the record of a run that was made without the database. A record that is there already
// is not added again: added is false and id names the run. Its first error in the record is
// returned, and nothing is stored.
func (db *DB) Add(ctx context.Context, name string, raw []byte, m Meta) (id string, added bool, err error) {
	log, err := record.Read(bytes.NewReader(raw), name)
	if err != nil {
		return "", false, err
	}
	run, err := log.Fold()
	if err != nil {
		return "", false, err
	}
	m.Kind, m.Started = KindRun, run.Start.Time
	if err := m.check(run.Start.Time); err != nil {
		return "", false, err
	}
	lines := raw[:bytes.LastIndexByte(raw, '\n')+1]
	f := newFolded(KindRun)
	if err := f.add(lines); err != nil {
		return "", false, fmt.Errorf("%s: %w", name, err)
	}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT id FROM runs WHERE record_sha256 = $1", *f.hash()).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		id, added = m.ID, true
		if err := db.insertRun(ctx, tx, &m); err != nil {
			return err
		}
		return db.store(ctx, tx, &m, f, lines, Interrupted)
	})
	if err != nil {
		return "", false, err
	}
	return id, added, nil
}
