package database

import (
	"context"
	"errors"
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

// Query returns the statement of a list of events.
func (f CollectedFilter) Query() (string, []any) { return f.query() }

// CreateSchema creates a database with an earlier schema.
func CreateSchema(ctx context.Context, place string, version int) error {
	db, err := open(ctx, place)
	if err != nil {
		return err
	}
	all, err := readMigrations(db.engine)
	if err == nil {
		err = migrateTo(ctx, db, all[:version])
	}
	return errors.Join(err, db.Close())
}
