package database

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// migrations has a folder for each engine. Files are applied in the order of their names, which begin
// with four digits. A file that was released never changes.
//
//go:embed migrations
var migrations embed.FS

// A migration is a file of statements.
type migration struct {
	version    int
	statements string
}

// readMigrations returns those of an engine, in order.
func readMigrations(e Engine) ([]migration, error) {
	folder := "migrations/" + string(e)
	files, err := fs.ReadDir(migrations, folder)
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, file := range files {
		number, _, _ := strings.Cut(file.Name(), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("the migration %s has not the number %d", file.Name(), i+1)
		}
		raw, err := fs.ReadFile(migrations, folder+"/"+file.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, string(raw)})
	}
	return all, nil
}

// migrate brings the schema up to date.
func migrate(ctx context.Context, db *DB) error {
	all, err := readMigrations(db.engine)
	if err != nil {
		return err
	}
	return migrateTo(ctx, db, all)
}

// migrateTo applies the migrations that the database does not have yet, in one transaction: all or
// none. Processes that do so at the same time wait for one another.
func migrateTo(ctx context.Context, db *DB, all []migration) error {
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return db.fault(err)
	}
	if version == len(all) {
		return nil // the usual case takes no lock
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		version, err := lockSchema(ctx, db, tx)
		switch {
		case err != nil:
			return err
		case version > len(all):
			return fmt.Errorf("the database %s has schema %d and this stepctl knows %d; install a newer stepctl", db.place, version, len(all))
		}
		for _, m := range all[version:] {
			if err := apply(ctx, db, tx, m); err != nil {
				return fmt.Errorf("cannot bring the database %s to schema %d: %w", db.place, m.version, err)
			}
		}
		return nil
	})
}

// schemaVersion returns the number of the newest migration that was applied; 0 for none.
func schemaVersion(ctx context.Context, db *DB) (version int, err error) {
	if db.engine == SQLite {
		err = db.read.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
		return version, err
	}
	var exists bool
	err = db.read.QueryRowContext(ctx, "SELECT to_regclass('stepctl_schema') IS NOT NULL").Scan(&exists)
	if err == nil && exists {
		err = db.read.QueryRowContext(ctx, postgresVersion).Scan(&version)
	}
	return version, err
}

const postgresVersion = "SELECT coalesce(max(version), 0) FROM stepctl_schema"

// lockSchema waits for other processes that migrate, and returns the version. On SQLite the
// transaction is the lock.
func lockSchema(ctx context.Context, db *DB, tx *sql.Tx) (version int, err error) {
	if db.engine == SQLite {
		err = tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
		return version, err
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(applicationID)); err != nil {
		return 0, err
	}
	err = postgresTx(ctx, tx, `CREATE TABLE IF NOT EXISTS stepctl_schema (
		version BIGINT PRIMARY KEY, applied TIMESTAMPTZ NOT NULL DEFAULT now())`)
	if err == nil {
		err = tx.QueryRowContext(ctx, postgresVersion).Scan(&version)
	}
	return version, err
}

// apply applies one migration and marks the database with its version.
func apply(ctx context.Context, db *DB, tx *sql.Tx, m migration) error {
	if db.engine == PostgreSQL {
		return postgresTx(ctx, tx, m.statements+fmt.Sprintf(";\nINSERT INTO stepctl_schema (version) VALUES (%d);", m.version))
	}
	// Pragmas have no parameters.
	_, err := tx.ExecContext(ctx, m.statements+fmt.Sprintf(";\nPRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, m.version))
	return err
}
