package record

import (
	"fmt"
	"io"

	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// A Writer appends events to a record. It is for one goroutine at a time.
type Writer struct {
	to     io.Writer
	what   string        // it is, in errors
	file   *outfile.File // what Close closes; nil when there is nothing to close
	max    int           // MaxLineBytes, except in tests
	failed error
}

// NewWriter returns a Writer to w, which is an output and not a file of its own.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w, what: "the output", max: MaxLineBytes} }

// Create opens a new record at path, see outfile.Create.
func Create(path string) (*Writer, error) {
	file, err := outfile.Create(path)
	if err != nil {
		return nil, fmt.Errorf("cannot write the record: %w", err)
	}
	return &Writer{to: file, what: "the record", file: file, max: MaxLineBytes}, nil
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
	if err := w.file.Close(); w.failed == nil && err != nil {
		w.failed = fmt.Errorf("the record is not whole: %w", err)
	}
	return w.failed
}
