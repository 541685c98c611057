package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// applicationID marks a SQLite file as a database of stepctl: "step".
const applicationID = 0x73746570

// openSQLite opens or creates a file. It changes nothing in a file of another program.
func openSQLite(ctx context.Context, file string) (*DB, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("cannot open the database: %w", err)
	}
	if err := checkFile(path); err != nil {
		return nil, err
	}
	db := &DB{engine: SQLite, place: path, retry: heartbeat}
	// Each connection of a pool runs these. WAL is set later, as it writes to the file.
	common := url.Values{"_pragma": {
		"busy_timeout(" + strconv.FormatInt(busyTimeout.Milliseconds(), 10) + ")",
		"foreign_keys(1)", "synchronous(normal)",
	}}
	writer := url.Values{"_pragma": common["_pragma"], "_txlock": {"immediate"}}
	reader := url.Values{"_pragma": append(common["_pragma"][:3:3], "query_only(1)")}
	if db.write, err = sql.Open("sqlite", fileURI(path, writer)); err == nil {
		db.read, err = sql.Open("sqlite", fileURI(path, reader))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the database %s: %w", path, err)
	}
	db.write.SetMaxOpenConns(1)
	db.read.SetMaxOpenConns(maxReaders)
	if err := useWAL(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// fileURI returns the URI of a file with any name.
func fileURI(path string, query url.Values) string {
	path = filepath.ToSlash(path)
	if path[0] != '/' {
		path = "/" + path // of a volume of Windows
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return u.String()
}

// checkFile refuses what cannot be a SQLite file, before the library creates files beside it.
func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("cannot create the database %s: its folder does not exist; create %s, or name another file", path, filepath.Dir(path))
		}
	case err != nil:
		return fmt.Errorf("cannot open the database: %w; check that this user may read its folder", err)
	case info.IsDir():
		return fmt.Errorf("cannot open the database %s: it is a directory; name a file in it, such as %s", path, filepath.Join(path, "runs.db"))
	case !info.Mode().IsRegular():
		return fmt.Errorf("cannot open the database %s: it is no regular file; name a file", path)
	}
	return checkStorage(filepath.Dir(path))
}

// useWAL checks the marks of the file and turns on its write-ahead log, which lets readers and one
// writer work at the same time.
func useWAL(ctx context.Context, db *DB) error {
	id, objects, err := readMarks(ctx, db)
	switch {
	case err != nil:
		return db.fault(err)
	case id != applicationID && (id != 0 || objects > 0):
		return fmt.Errorf("the database %s belongs to another program; name another file", db.place)
	}
	var mode string
	if err := db.write.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return db.fault(err)
	}
	if mode != "wal" {
		return fmt.Errorf("the database %s cannot have a write-ahead log (journal mode %s); move it to a local disk", db.place, mode)
	}
	return nil
}

// readMarks returns the mark of the file and the number of its tables and indexes, both at the same
// point in time: another process may be creating them.
func readMarks(ctx context.Context, db *DB) (id, objects int64, err error) {
	tx, err := db.read.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&objects); err != nil {
		return 0, 0, err
	}
	err = tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id)
	return id, objects, err
}
