package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// A source opens a database when it is needed, and again when another file has its name.
type source struct {
	place string

	mu   sync.Mutex // guards the rest
	db   *database.DB
	file os.FileInfo // of a SQLite file
}

// get returns the open database. It does not create one.
func (s *source) get(ctx context.Context) (*database.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.stat()
	if err != nil {
		s.drop()
		return nil, err
	}
	if s.db != nil && (info == nil || os.SameFile(info, s.file)) {
		return s.db, nil
	}
	s.drop()
	db, err := database.Open(ctx, s.place)
	if err != nil {
		return nil, err
	}
	s.db, s.file = db, info
	return db, nil
}

// stat describes the SQLite file; nil for a server.
func (s *source) stat() (os.FileInfo, error) {
	if config.IsPostgres(s.place) {
		return nil, nil
	}
	info, err := os.Stat(s.place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the database %s does not exist; store a run with --db, or name another file", s.place)
	}
	return info, err
}

// drop closes the database. Pages that still read get an error.
func (s *source) drop() {
	if s.db != nil {
		_ = s.db.Close() // nothing was written
		s.db = nil
	}
}

func (s *source) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

// explain returns the sentence of the database about an error, which may be that of a driver.
func (s *source) explain(ctx context.Context, err error) error {
	db, cause := s.get(ctx)
	if cause == nil {
		_, cause = db.Now(ctx)
	}
	if cause != nil && !errors.Is(err, database.ErrMissing) && !errors.As(err, new(*badRequest)) {
		return cause
	}
	return err
}
