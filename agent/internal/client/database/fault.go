package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrAway says that the database cannot be reached or written now, and may be later: the server is
// down, or another program holds the file for too long.
var ErrAway = errors.New("the database is away")

// ErrMissing says that a run, procedure or baseline is not in the database.
var ErrMissing = errors.New("not in the database")

// A fault is an error of an engine as a sentence.
type fault struct {
	sentence string
	away     bool
	cause    error
}

// Error returns the sentence.
func (f *fault) Error() string { return f.sentence }

// Unwrap returns the engine's error, and ErrAway where it holds.
func (f *fault) Unwrap() []error {
	if f.away {
		return []error{ErrAway, f.cause}
	}
	return []error{f.cause}
}

// fault returns what an engine's error means and what to do about it. Other errors are returned as
// they are; nil stays nil.
func (db *DB) fault(err error) error {
	var known *fault
	var lite *sqlite.Error
	var server *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &lite):
		return db.sqliteFault(lite)
	case errors.As(err, &server):
		return db.serverFault(server)
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		db.engine == PostgreSQL && strings.Contains(err.Error(), "conn closed"):
		return &fault{fmt.Sprintf("cannot reach the database %s: %s; check that the server runs and can be reached", db.place, reason(err)), true, err}
	}
	return err
}

// reason returns the innermost cause of a failed connection, whose text has no parts of the URL.
func reason(err error) string {
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Err.Error()
	}
	var name *net.DNSError
	if errors.As(err, &name) {
		return name.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return "the connection was closed"
}

func (db *DB) sqliteFault(err *sqlite.Error) error {
	sentence, away := "", false
	switch err.Code() & 0xff { // extended codes add a second byte
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		sentence, away = fmt.Sprintf("is locked by another program for more than %v; end that program, or try again", busyTimeout), true
	case sqlite3.SQLITE_FULL:
		sentence, away = "cannot grow: the disk is full; free some space", true
	case sqlite3.SQLITE_READONLY:
		sentence = "is read-only; make the file and its folder writable, or name another file"
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		sentence = "cannot be opened; check that the file and its folder can be read and written by this user"
	case sqlite3.SQLITE_NOTADB:
		sentence = "is no SQLite file; name another file"
	case sqlite3.SQLITE_CORRUPT:
		sentence = `is damaged; restore a copy, or save what is left with "sqlite3 FILE .recover"`
	case sqlite3.SQLITE_IOERR:
		sentence, away = "cannot be read or written (input/output error); check the disk", true
	default:
		return err
	}
	return &fault{fmt.Sprintf("the database %s %s", db.place, sentence), away, err}
}

func (db *DB) serverFault(err *pgconn.PgError) error {
	sentence, away := "", false
	switch class := err.Code[:min(2, len(err.Code))]; {
	case class == "28":
		sentence = "refuses the user or the password; check both in the URL, PGPASSWORD or ~/.pgpass, and pg_hba.conf of the server"
	case err.Code == "3D000":
		sentence = "does not exist; create it with createdb, or correct the URL"
	case err.Code == "42501", err.Code == "3F000":
		sentence = fmt.Sprintf("does not permit this: %s; grant the user the right to create and write tables", err.Message)
	case err.Code == "25006":
		sentence = "is read-only, such as a standby; name the primary server"
	case class == "53":
		sentence, away = fmt.Sprintf("has no room: %s; free some, or try again", err.Message), true
	case class == "57", class == "08":
		sentence, away = fmt.Sprintf("is shutting down or starting: %s; try again", err.Message), true
	case class == "40", err.Code == "55P03":
		sentence, away = fmt.Sprintf("is in use: %s; try again", err.Message), true
	default:
		return err
	}
	return &fault{fmt.Sprintf("the database %s %s", db.place, sentence), away, err}
}
