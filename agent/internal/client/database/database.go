// Package database keeps procedures, runs and a queue in a database: a SQLite file, or PostgreSQL.
//
// A run is stored as the lines of its record, byte for byte; every other column of a run and of its
// steps is derived from them by package record. migrations has the schema, one folder an engine, with
// the same tables and columns. Programs besides stepctl may read all tables and insert into queue.
//
// Other packages read with DB.Read and write with DB.Write, in SQL that both engines understand:
// placeholders are $1, times are Time, and the present is Engine.Now.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Limits of a database.
const (
	// MaxNameBytes is the length of the longest name of a procedure, board, label, baseline, fleet or session.
	MaxNameBytes = 200
	// busyTimeout is how long a writer of a SQLite file waits for another process.
	busyTimeout = 5 * time.Second
	// connectTimeout limits connecting to PostgreSQL, unless the URL has connect_timeout.
	connectTimeout = 5 * time.Second
	// maxReaders is the number of connections that read at the same time.
	maxReaders = 4
)

// A DB is an open database. It is safe for concurrent use.
type DB struct {
	engine Engine
	place  string          // as Name returns it
	read   *sql.DB         // SQLite: connections that cannot write
	write  *sql.DB         // SQLite: one connection, whose transactions are immediate
	retry  time.Duration   // between attempts of a Recorder to reach a database that is away
	config *pgx.ConnConfig // PostgreSQL: for connections that listen
}

// Open opens the database at a place: the name of a SQLite file, which is created, or a URL
// postgres://user@host/database. Open brings the schema up to date and marks the runs as interrupted
// that have shown no sign of life for InterruptedAfter. Its errors say what to do; errors.Is(err,
// ErrAway) says that the database may be there later. No error has a password.
func Open(ctx context.Context, place string) (*DB, error) {
	db, err := open(ctx, place)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// prepare migrates the schema and marks dead runs.
func prepare(ctx context.Context, db *DB) error {
	if err := migrate(ctx, db); err != nil {
		return err
	}
	_, err := markInterrupted(ctx, db)
	return err
}

func open(ctx context.Context, place string) (*DB, error) {
	engine, err := engineOf(place)
	switch {
	case err != nil:
		return nil, err
	case engine == PostgreSQL:
		return openPostgres(ctx, place)
	}
	return openSQLite(ctx, place)
}

// engineOf returns the engine of a place.
func engineOf(place string) (Engine, error) {
	scheme, _, isURL := strings.Cut(place, "://")
	switch {
	case place == "":
		return "", errors.New("no database is named; name a file, or postgres://user@host/database")
	case isURL && (scheme == "postgres" || scheme == "postgresql"):
		return PostgreSQL, nil
	case isURL && !strings.ContainsAny(scheme, `/\.`):
		return "", fmt.Errorf("%s:// is no database; name a file, or postgres://user@host/database", scheme)
	}
	return SQLite, nil
}

// Close closes all connections. Recorders must be closed before.
func (db *DB) Close() error { return errors.Join(db.read.Close(), db.write.Close()) }

// Engine returns the engine.
func (db *DB) Engine() Engine { return db.engine }

// Name names the database for people: the absolute path of the file, or the URL without password
// and options.
func (db *DB) Name() string { return db.place }

// Read returns the connections for reading. On SQLite they refuse to write.
func (db *DB) Read() *sql.DB { return db.read }

// Write calls change in a transaction, and commits unless change fails. On SQLite it waits up to
// five seconds for other writers. change must use the transaction alone, and may not keep it.
func (db *DB) Write(ctx context.Context, change func(*sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return db.fault(err)
	}
	if err := change(tx); err != nil {
		_ = tx.Rollback() // the error of change says more
		return db.fault(err)
	}
	return db.fault(tx.Commit())
}

// snapshot calls look in a transaction that only reads, and sees all tables as they were at one moment.
func (db *DB) snapshot(ctx context.Context, look func(*sql.Tx) error) error {
	// SQLite knows no other isolation; PostgreSQL would see new commits with each statement.
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return db.fault(err)
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	return db.fault(look(tx))
}

// Ping returns an error if the database cannot be reached.
func (db *DB) Ping(ctx context.Context) error { return db.fault(db.read.PingContext(ctx)) }

// Now returns the database's time: the server's on PostgreSQL, this machine's on SQLite.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	var now Time
	err := db.read.QueryRowContext(ctx, "SELECT "+db.engine.Now()).Scan(&now)
	return time.Time(now), db.fault(err)
}

// Listen returns a channel with a wake-up after each change of a part of the database, by any
// program. Changes that come close together have one wake-up, and there are wake-ups without a
// change. The first comes when nothing can be missed any more: a caller that reads the tables after
// each wake-up sees everything. While the database is away there is none, and then one. The channel
// is closed when the context ends.
func (db *DB) Listen(ctx context.Context, c Channel) (<-chan struct{}, error) {
	return listen(ctx, db, c)
}

// Info returns the description of the database. It counts all rows, which takes about a tenth of a
// second for a million steps.
func (db *DB) Info(ctx context.Context) (Info, error) { return describe(ctx, db) }

// fault returns what an engine's error means and what to do about it. Other errors are returned as
// they are; nil stays nil.
func (db *DB) fault(err error) error { return sentence(db, err) }
