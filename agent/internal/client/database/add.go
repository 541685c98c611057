package database

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
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
	err = db.Write(ctx, func(tx *sql.Tx) error {
		id, added, err = db.add(ctx, tx, m, lines)
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", name, err)
	}
	return id, added, nil
}

// add stores a sound record, unless it is there. A record that has more than a run that was
// interrupted completes it.
func (db *DB) add(ctx context.Context, tx *sql.Tx, m Meta, lines []byte) (id string, added bool, err error) {
	sum := sha256.Sum256(lines)
	err = tx.QueryRowContext(ctx, "SELECT id FROM runs WHERE record_sha256 = $1", hex.EncodeToString(sum[:])).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, false, err
	}
	if id, err = sameRun(ctx, tx, lines); err != nil {
		return "", false, err
	}
	if id != "" {
		var state State
		err := tx.QueryRowContext(ctx, "SELECT state FROM runs WHERE id = $1", id).Scan(&state)
		if err != nil || state != Interrupted {
			return id, false, err // its Recorder stores the rest
		}
	}
	_, err = db.merge(ctx, tx, &m, 1, lines)
	return m.ID, id == "", err
}
