package main

import (
	"bytes"
	"io"
	"os"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A recording takes the lines of a record and returns the run that they are of. Documents are made from
// it, and so from the same values as those made from the record later.
type recording interface {
	io.Writer
	run() (record.Run, error)
}

// A readBack is a recording in memory: it folds the lines as they come.
type readBack struct{ live record.Live }

func (r *readBack) run() (record.Run, error) { return r.live.Run(), nil }

func (r *readBack) Write(line []byte) (int, error) {
	log, err := record.Read(bytes.NewReader(line), "the run")
	if err != nil {
		return 0, err
	}
	for _, e := range log.Events {
		if _, err := r.live.Add(e); err != nil {
			return 0, err
		}
	}
	return len(line), nil
}

// A spooledRun is a recording in a temporary file, so that a run that has ended takes no memory.
type spooledRun struct {
	path string
	file *os.File // nil before the first line
}

func (s *spooledRun) Write(line []byte) (int, error) {
	if s.file == nil {
		file, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 0, err
		}
		s.file = file
	}
	return s.file.Write(line)
}

func (s *spooledRun) run() (record.Run, error) {
	log, err := record.ReadFile(s.path)
	if err != nil {
		return record.Run{}, err
	}
	return log.Fold()
}

// close closes the file, which run can still read. Each write to it was checked.
func (s *spooledRun) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}
