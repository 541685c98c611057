package database

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// A Version is one version of a procedure.
type Version struct {
	Name string
	// Version counts from 1.
	Version int64
	// SHA256 is the hash of the step file in hexadecimal, Bytes its size, Steps the number of its
	// steps.
	SHA256 string
	Bytes  int64
	Steps  int64
	// Imported is when it was stored.
	Imported time.Time
}

// versionColumns are the columns that scanVersion reads.
const versionColumns = "name, version, sha256, length(content), steps, imported"

func scanVersion(row interface{ Scan(...any) error }, more ...any) (v Version, err error) {
	var imported Time
	err = row.Scan(append([]any{&v.Name, &v.Version, &v.SHA256, &v.Bytes, &v.Steps, &imported}, more...)...)
	v.Imported = time.Time(imported)
	return v, err
}

// Import stores a step file as the next version of a procedure. It must be sound; see package
// stepfile. If the newest version has the same bytes, nothing is stored and added is false.
func (db *DB) Import(ctx context.Context, name string, content []byte) (v Version, added bool, err error) {
	if err := CheckProcedureName(name); err != nil {
		return Version{}, false, err
	}
	if len(content) > stepfile.MaxFileBytes {
		return Version{}, false, fmt.Errorf("the step file %s is larger than %d MiB", name, stepfile.MaxFileBytes>>20)
	}
	procedure, findings := stepfile.Parse(name, content)
	if err := stepfile.AsError(name, findings); err != nil {
		return Version{}, false, err
	}
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	err = db.Write(ctx, func(tx *sql.Tx) error {
		if db.engine == PostgreSQL { // two that import the same name wait for one another
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name); err != nil {
				return err
			}
		}
		v, err = scanVersion(tx.QueryRowContext(ctx, "SELECT "+versionColumns+
			" FROM procedures WHERE name = $1 ORDER BY version DESC LIMIT 1", name))
		if err == nil && v.SHA256 == hash || err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		added = true
		_, err = tx.ExecContext(ctx, "INSERT INTO procedures (name, version, sha256, content, steps, imported) VALUES ($1, $2, $3, $4, $5, "+
			db.engine.Now()+")", name, v.Version+1, hash, content, len(procedure.Steps))
		if err != nil {
			return err
		}
		v, err = scanVersion(tx.QueryRowContext(ctx, "SELECT "+versionColumns+
			" FROM procedures WHERE name = $1 AND version = $2", name, v.Version+1))
		return err
	})
	if err != nil {
		return Version{}, false, err
	}
	return v, added, nil
}

// Procedure returns a version of a procedure and its step file, byte for byte as it was imported.
// Version 0 is the newest. errors.Is(err, ErrMissing) says that there is none.
func (db *DB) Procedure(ctx context.Context, name string, version int64) (Version, []byte, error) {
	query, args := " FROM procedures WHERE name = $1 ORDER BY version DESC LIMIT 1", []any{name}
	if version != 0 {
		query, args = " FROM procedures WHERE name = $1 AND version = $2", []any{name, version}
	}
	var content []byte
	v, err := scanVersion(db.read.QueryRowContext(ctx, "SELECT "+versionColumns+", content"+query, args...), &content)
	switch {
	case errors.Is(err, sql.ErrNoRows) && version != 0:
		return Version{}, nil, fmt.Errorf("version %d of the procedure %q is %w; list them with \"stepctl db list\"", version, name, ErrMissing)
	case errors.Is(err, sql.ErrNoRows):
		return Version{}, nil, fmt.Errorf("the procedure %q is %w; import it with \"stepctl db import\"", name, ErrMissing)
	}
	return v, content, db.fault(err)
}

// Procedures returns the newest version of each procedure, in the order of their names.
func (db *DB) Procedures(ctx context.Context) ([]Version, error) {
	return versions(ctx, db, " FROM procedures AS p WHERE version = (SELECT max(version) FROM procedures WHERE name = p.name) ORDER BY name")
}

// Versions returns all versions of a procedure, the newest first; none if it is unknown.
func (db *DB) Versions(ctx context.Context, name string) ([]Version, error) {
	return versions(ctx, db, " FROM procedures WHERE name = $1 ORDER BY version DESC", name)
}

func versions(ctx context.Context, db *DB, query string, args ...any) ([]Version, error) {
	return Collect(ctx, db, func(rows *sql.Rows) (Version, error) { return scanVersion(rows) }, "SELECT "+versionColumns+query, args...)
}
