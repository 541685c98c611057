package database

import (
	"context"
	"time"
)

// Query returns the statement of a page of runs.
func (f Filter) Query() (string, []any) { return f.query() }

// SetSchema marks the database with a version of the schema.
func (db *DB) SetSchema(ctx context.Context, mark string) error {
	_, err := db.write.ExecContext(ctx, mark)
	return err
}

// SetRetry sets the time between attempts to reach the database, for Recorders that begin later.
func (db *DB) SetRetry(d time.Duration) { db.retry = d }

// Fault returns the sentence of an engine's error.
func (db *DB) Fault(err error) error { return db.fault(err) }

// CheckVersion checks the version of a server.
func (db *DB) CheckVersion(number int, version string) error {
	return checkVersion(db, number, version)
}
