package record

import (
	"fmt"
	"io"

	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// A Writer appends events to a record. It is not safe for concurrent use.
type Writer struct {
	to     io.Writer
	what   string        // name of the output in errors
	file   *outfile.File // closed by Close; nil for NewWriter
	max    int           // MaxLineBytes, except in tests
	failed error
}

// NewWriter returns a Writer to w, which Close does not close.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w, what: "the output", max: MaxLineBytes} }

// Create creates a record at path, see outfile.Create.
func Create(path string) (*Writer, error) {
	file, err := outfile.Create(path)
	if err != nil {
		return nil, fmt.Errorf("cannot write the record: %w", err)
	}
	return &Writer{to: file, what: "the record", file: file, max: MaxLineBytes}, nil
}

// Write appends one event with one call of Write, so that it survives a later crash of this process.
// After an error a line may be cut: every further call returns the same error and writes nothing.
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

// Close makes a file durable and closes it. It returns the first error of the Writer, so checking
// Close alone is enough to know that the record is whole.
func (w *Writer) Close() error {
	if w.file == nil {
		return w.failed
	}
	if err := w.file.Close(); w.failed == nil && err != nil {
		w.failed = fmt.Errorf("the record is not whole: %w", err)
	}
	return w.failed
}
