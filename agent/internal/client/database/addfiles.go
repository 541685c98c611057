package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
)

// Limits of one transaction of AddFiles.
const (
	// batchRecords is the number of records that are committed together.
	batchRecords = 256
	// batchBytes is about how many bytes of records are committed together, which bounds the memory.
	batchBytes = 8 << 20
	// maxRecordBytes is the size of the largest record that is added.
	maxRecordBytes = 256 << 20
)

// Added says what AddFiles has done with a file.
type Added struct {
	// Name is the file's.
	Name string
	// ID names the run. Added says that it is new, Completed that it was there and has got further events;
	// if neither holds, all events were there already.
	ID               string
	Added, Completed bool
	// Err says why nothing of the file was added; it has the name.
	Err error
}

// addFiles is DB.AddFiles.
func addFiles(ctx context.Context, db *DB, names iter.Seq[string], m Meta, each func(Added)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	files := parseFiles(ctx, names, m)
	batch, size := []parsedFile(nil), 0
	for file := range files {
		one := <-file
		batch, size = append(batch, one), size+one.size()
		if len(batch) >= batchRecords || size >= batchBytes {
			if err := addBatch(ctx, db, batch, each); err != nil {
				return err
			}
			batch, size = nil, 0
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return addBatch(ctx, db, batch, each)
}

// A parsedFile is a record, or the reason why it is none.
type parsedFile struct {
	name   string
	record *parsed
	err    error
}

func (f *parsedFile) size() int {
	if f.record == nil {
		return 0
	}
	return len(f.record.lines)
}

// parseFiles reads files on all processors, a few ahead. The channels are in the order of the names,
// and each has one value.
func parseFiles(ctx context.Context, names iter.Seq[string], m Meta) <-chan chan parsedFile {
	ahead := runtime.GOMAXPROCS(0)
	files := make(chan chan parsedFile, ahead)
	slots := make(chan struct{}, ahead)
	go func() {
		defer close(files)
		for name := range names {
			file := make(chan parsedFile, 1)
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			go func() {
				defer func() { <-slots }()
				p, err := parseFile(name, m)
				file <- parsedFile{name, p, err}
			}()
			select {
			case files <- file:
			case <-ctx.Done():
				return
			}
		}
	}()
	return files
}

func parseFile(name string, m Meta) (*parsed, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the record: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(file, maxRecordBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the record: %w", err)
	}
	if len(raw) > maxRecordBytes {
		return nil, fmt.Errorf("%s: the record is larger than %d MiB", name, maxRecordBytes>>20)
	}
	return parse(name, raw, m)
}

// addBatch adds records in one transaction; if it fails, each in its own.
func addBatch(ctx context.Context, db *DB, batch []parsedFile, each func(Added)) error {
	results := make([]Added, len(batch))
	err := db.Write(ctx, func(unprepared *sql.Tx) error {
		tx := &preparedTx{unprepared, map[string]*sql.Stmt{}}
		for i, file := range batch {
			if file.record == nil {
				results[i] = Added{Name: file.name, Err: file.err}
				continue
			}
			var err error
			if results[i], err = add(ctx, db, tx, file.record); err != nil {
				return err
			}
		}
		return nil
	})
	for i, file := range batch {
		if err != nil && file.record != nil {
			results[i] = addAlone(ctx, db, file.record)
		}
		if problem := results[i].Err; errors.Is(problem, ErrAway) || problem != nil && ctx.Err() != nil {
			return problem
		}
		each(results[i])
	}
	return nil
}
