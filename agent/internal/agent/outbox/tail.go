package outbox

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
)

const (
	// readBytes is the size of one read.
	readBytes = 64 << 10
	// listInterval is the least time between two readings of the folder.
	listInterval = time.Second
)

// A position is a place in the record: a file and an offset in it. The zero value is the beginning.
type position struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
}

// A tail reads the files of a record in their order, while they are written and removed.
type tail struct {
	dir    string
	names  []string // files after the present one, as they were listed
	listed time.Time

	at     position // the next line; at the end of its file if that is not open
	resume bool     // the file of at is still to be opened, as a cursor says
	file   *os.File // nil for none
	head   head     // of file
	unread []byte   // what was read from at on; in buffer
	buffer []byte
}

// A head is what a file says of itself.
type head struct {
	name string
	life string // of the agent's process that has written it; empty until it is needed
}

func newTail(dir string, at position) *tail { return &tail{dir: dir, at: at, resume: at.File != ""} }

// next returns the next lines that are of one kind, up to limit bytes or one line; nil if there is none
// yet.
func (t *tail) next(limit int) (*message, error) {
	for {
		if t.file == nil {
			if ok, err := t.open(); !ok || err != nil {
				return nil, err
			}
		}
		n, events, kind, whole := run(t.unread, limit)
		if !whole && len(t.unread) < auditlog.MaxLineBytes {
			if more, err := t.read(); more {
				continue
			} else if err != nil {
				return nil, err
			}
		}
		switch {
		case n > 0:
			return t.take(n, events, kind), nil
		case len(t.unread) >= auditlog.MaxLineBytes: // no line is as long: the file is damaged
			t.advance(len(t.unread))
			continue
		case len(t.names) == 0:
			if err := t.list(); err != nil || len(t.names) == 0 {
				return nil, err
			}
		}
		// There is a later file, and the writer has closed this one before it began that.
		if more, err := t.read(); err != nil {
			return nil, err
		} else if !more {
			t.close() // a torn line at its end is no event
		}
	}
}

// take returns the next n bytes as a message.
func (t *tail) take(n int, events uint64, kind fleet.Kind) *message {
	if t.head.life == "" { // not before: the first line has been written by now
		t.head.life = lifeOf(t.file)
	}
	m := &message{file: t.head, offset: t.at.Offset, lines: bytes.Clone(t.unread[:n]), events: events, kind: kind}
	t.advance(n)
	return m
}

func (t *tail) advance(n int) {
	t.at.Offset += int64(n)
	t.unread = t.unread[n:]
}

// read appends what comes next to unread. more is false at the present end of the file.
func (t *tail) read() (more bool, err error) {
	size := len(t.unread)
	if cap(t.unread)-size < readBytes {
		if len(t.buffer) < size+readBytes {
			t.buffer = make([]byte, size+2*readBytes)
		}
		copy(t.buffer, t.unread)
		t.unread = t.buffer[:size]
	}
	n, err := t.file.ReadAt(t.unread[size:size+readBytes], t.at.Offset+int64(size))
	t.unread = t.unread[:size+n]
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n > 0, err
}

// list reads the names of the files after the present one, unless it has done so a moment ago.
func (t *tail) list() error {
	if time.Since(t.listed) < listInterval {
		return nil
	}
	t.listed = time.Now()
	names, err := listFiles(t.dir)
	t.names = slices.DeleteFunc(names, func(name string) bool { return t.at.File != "" && auditlog.CompareFiles(name, t.at.File) <= 0 })
	return err
}

// listFiles returns the names of the record's files in their order. A folder that is not there has none.
func listFiles(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		if _, ours := auditlog.ParseFileName(entry.Name()); ours && entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	slices.SortFunc(names, auditlog.CompareFiles)
	return names, err
}

// open opens the file of at, or the next one if that is read to its end or has gone. ok is false if there
// is none.
func (t *tail) open() (ok bool, err error) {
	if t.resume {
		t.resume = false
		if ok, err := t.openFile(); ok || err != nil {
			return ok, err
		}
	}
	for {
		if len(t.names) == 0 {
			if err := t.list(); err != nil || len(t.names) == 0 {
				return false, err
			}
		}
		t.at, t.names = position{File: t.names[0]}, t.names[1:]
		if ok, err := t.openFile(); ok || err != nil {
			return ok, err
		}
	}
}

// openFile opens the file of at. ok is false if it has gone.
func (t *tail) openFile() (ok bool, err error) {
	file, err := os.Open(filepath.Join(t.dir, t.at.File))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	t.file, t.head, t.unread = file, head{name: t.at.File}, nil
	return true, nil
}

// skip ends the reading of a file that is about to be removed, and of those before it. It returns from which
// offset on the file was not read, and false if it has been read to its end.
func (t *tail) skip(name string) (from int64, skipped bool) {
	order := -1 // a record that was never read comes before every file
	if t.at.File != "" {
		order = auditlog.CompareFiles(t.at.File, name)
	}
	switch {
	case order > 0:
		return 0, false
	case order == 0:
		from = t.at.Offset
	}
	t.close()
	t.at, t.resume = position{name, 1<<63 - 1}, false
	t.names = slices.DeleteFunc(t.names, func(other string) bool { return auditlog.CompareFiles(other, name) <= 0 })
	t.listed = time.Time{} // it has changed
	return from, true
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close() // it was only read
		t.file, t.unread = nil, nil
	}
}
