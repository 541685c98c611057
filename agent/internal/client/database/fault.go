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
	text  string
	away  bool
	cause error
}

// Error returns the sentence.
func (f *fault) Error() string { return f.text }

// Unwrap returns the engine's error, and ErrAway where it holds.
func (f *fault) Unwrap() []error {
	if f.away {
		return []error{ErrAway, f.cause}
	}
	return []error{f.cause}
}

// sentence is DB.fault.
func sentence(db *DB, err error) error {
	var known *fault
	var lite *sqlite.Error
	var server *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &lite):
		return sqliteFault(db, lite)
	case errors.As(err, &server):
		return serverFault(db, server)
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

func sqliteFault(db *DB, err *sqlite.Error) error {
	var text string
	away := false
	code := err.Code() & 0xff // extended codes add a second byte
	if err.Code() == sqlite3.SQLITE_IOERR_SHMSIZE {
		code = sqlite3.SQLITE_FULL // there is no room for the shared memory, which readers need too
	}
	switch code {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		text, away = fmt.Sprintf("is locked by another program for more than %v; end that program, or try again", busyTimeout), true
	case sqlite3.SQLITE_FULL:
		text, away = "cannot grow: the disk is full; free some space", true
	case sqlite3.SQLITE_READONLY:
		text = "is read-only; make the file and its folder writable, or name another file"
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		text = "cannot be opened; check that the file and its folder can be read and written by this user"
	case sqlite3.SQLITE_NOTADB:
		text = "is no SQLite file; name another file"
	case sqlite3.SQLITE_CORRUPT:
		text = `is damaged; restore a copy, or save what is left with "sqlite3 FILE .recover"`
	case sqlite3.SQLITE_IOERR:
		text, away = "cannot be read or written (input/output error); check the disk", true
	default:
		return err
	}
	return &fault{fmt.Sprintf("the database %s %s", db.place, text), away, err}
}

func serverFault(db *DB, err *pgconn.PgError) error {
	var text string
	away := false
	switch class := err.Code[:min(2, len(err.Code))]; {
	case class == "28":
		text = "refuses the user or the password; check both in the URL, PGPASSWORD or ~/.pgpass, and pg_hba.conf of the server"
	case err.Code == "3D000":
		text = "does not exist; create it with createdb, or correct the URL"
	case err.Code == "42501", err.Code == "3F000":
		text = fmt.Sprintf("does not permit this: %s; grant the user the right to create and write tables", err.Message)
	case err.Code == "25006":
		text = "is read-only, such as a standby; name the primary server"
	case class == "53":
		text, away = fmt.Sprintf("has no room: %s; free some, or try again", err.Message), true
	case class == "57", class == "08":
		text, away = fmt.Sprintf("is shutting down or starting: %s; try again", err.Message), true
	case class == "40", err.Code == "55P03":
		text, away = fmt.Sprintf("is in use: %s; try again", err.Message), true
	default:
		return err
	}
	return &fault{fmt.Sprintf("the database %s %s", db.place, text), away, err}
}
