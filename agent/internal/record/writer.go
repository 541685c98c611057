package record

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// A Writer appends events to a record. It is for one goroutine at a time.
type Writer struct {
	to     io.Writer
	what   string   // it is, in errors
	file   *os.File // what Close closes; nil when there is nothing to close
	max    int      // MaxLineBytes, except in tests
	failed error
}

// NewWriter returns a Writer to w, which is an output and not a file of its own.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w, what: "the output", max: MaxLineBytes} }

// Create opens a new record at path. A file that holds anything is refused and not changed:
// evidence is never overwritten. An empty file is taken, and so are pipes and devices.
func Create(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot write the record: %w", err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.Mode().IsRegular() && info.Size() > 0:
		err = fmt.Errorf("%s holds something already; name another file, or remove it", path)
	default:
		return &Writer{to: file, what: "the record", file: file, max: MaxLineBytes}, nil
	}
	_ = file.Close() // nothing was written
	return nil, fmt.Errorf("cannot write the record: %w", err)
}

// Write appends one event, as one line in one write, so that it survives the end of this
// process at any later moment. After an error nothing more is written, because a line may
// have been cut, and Write returns the same error.
func (w *Writer) Write(e Event) error {
	if w.failed != nil {
		return w.failed
	}
	line, err := appendEvent(nil, &e)
	switch {
	case err != nil:
	case len(line) > w.max:
		err = fmt.Errorf("the %s event is longer than %d bytes", e.Kind, w.max)
	default:
		_, err = w.to.Write(line)
	}
	if err != nil {
		w.failed = fmt.Errorf("cannot write %s: %w", w.what, err)
	}
	return w.failed
}

// Close makes a file durable and closes it. It returns the first error of the Writer, so
// that a record that is not whole is noticed also by who looks at Close alone.
func (w *Writer) Close() error {
	if w.file == nil {
		return w.failed
	}
	file := w.file
	w.file = nil
	var err error
	if info, statErr := file.Stat(); statErr == nil && info.Mode().IsRegular() {
		err = file.Sync() // pipes and devices cannot
	}
	err = errors.Join(err, file.Close())
	if w.failed == nil && err != nil {
		w.failed = fmt.Errorf("cannot write %s: %w", w.what, err)
	}
	return w.failed
}
