package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-json-experiment/json"

	"github.com/stepagent/stepagent/agent/internal/client/database/spool"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// A SyncResult says what Sync has taken in.
type SyncResult struct {
	// Files were taken in, and Lines of them were not stored before.
	Files, Lines int64
	// Busy files are being written by runs that go on.
	Busy int64
	// Problems are files that could not be taken in and stay; each error names its file.
	Problems []error
}

// syncFiles is DB.Sync.
func syncFiles(ctx context.Context, db *DB) (SyncResult, error) {
	var result SyncResult
	folder, err := spool.Folder()
	if err != nil {
		return result, nil //nolint:nilerr // without a folder nothing waits in it
	}
	paths, err := spool.List(folder)
	if err != nil {
		return result, fmt.Errorf("cannot look for events that wait: %w", err)
	}
	for _, path := range paths {
		lines, err := take(ctx, db, path)
		switch {
		case errors.Is(err, errOther), errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, outfile.ErrLocked):
			result.Busy++
		case errors.Is(err, ErrAway):
			return result, err
		case err != nil:
			result.Problems = append(result.Problems, fmt.Errorf("%s: %w", path, err))
		default:
			result.Files++
			result.Lines += lines
		}
	}
	return result, nil
}

// errOther leaves a file to another database.
var errOther = errors.New("of another database")

// take takes in the file at path, and returns how many of its lines were new.
func take(ctx context.Context, db *DB, path string) (added int64, err error) {
	err = spool.Take(path, func(h spool.Header, lines []byte) (err error) {
		if h.Place != db.place {
			return errOther
		}
		added, err = takeIn(ctx, db, h, lines)
		return err
	})
	return added, err
}

// takeIn stores the lines of one file and returns how many were new.
func takeIn(ctx context.Context, db *DB, h spool.Header, lines []byte) (added int64, err error) {
	var m Meta
	if err := json.Unmarshal(h.Meta, &m); err != nil {
		return 0, fmt.Errorf("its first line is damaged: %w", err)
	}
	m.ID = h.Run
	if err := m.check(m.Started); err != nil {
		return 0, err
	}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		added, err = merge(ctx, db, tx, &m, h.First, lines, nil)
		return err
	})
	return added, err
}
