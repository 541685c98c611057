package database

import (
	"context"
	"database/sql"
)

// begin inserts the row of a run.
func begin(ctx context.Context, db *DB, m *Meta) error {
	return db.Write(ctx, func(tx *sql.Tx) error { return insertRun(ctx, db, tx, m) })
}

// markInterrupted is DB.MarkInterrupted.
func markInterrupted(ctx context.Context, db *DB) (int64, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return 0, err
	}
	cutoff := Time(now.Add(-InterruptedAfter))
	var dead int64
	err = db.read.QueryRowContext(ctx, "SELECT count(*) FROM runs WHERE state = 'running' AND seen < $1", cutoff).Scan(&dead)
	if err != nil || dead == 0 {
		return 0, db.fault(err)
	}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE runs SET state = 'interrupted' WHERE state = 'running' AND seen < $1", cutoff)
		if err == nil {
			dead, err = result.RowsAffected()
		}
		return err
	})
	return dead, err
}
