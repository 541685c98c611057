package record

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// Limits of a record.
const (
	// MaxLineBytes is the length of the longest line, in bytes. The start is the longest, because
	// it has the procedure.
	MaxLineBytes = 64 << 20
	// MaxEvents is the number of events in the longest record.
	MaxEvents = 1 << 22
)

// limits are the limits of Read; tests use smaller ones.
type limits struct{ lineBytes, events int }

// A Log is the content of a record.
type Log struct {
	// Name is the name of the file, for errors.
	Name string
	// Events are its lines.
	Events []Event
	// Cut says that the last line has no newline, because the client was killed or the disk was
	// full. That line is not among the events, even if it looks whole.
	Cut bool
}

// Fold folds the events. Its error begins with file:line.
func (l Log) Fold() (Run, error) {
	run, err := Fold(l.Events)
	var wrong *EventError
	if errors.As(err, &wrong) {
		return Run{}, fmt.Errorf("%s:%d: %s", l.Name, wrong.Event, wrong.Problem)
	}
	return run, err
}

// ReadFile reads the record at path, see Read.
func ReadFile(path string) (Log, error) {
	file, err := os.Open(path)
	if err != nil {
		return Log{}, fmt.Errorf("cannot read the record: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	return Read(file, path)
}

// Read reads a record to its end. It is strict: each line must be an event of format 1 with all its
// members and no others. Only the last line may be cut. Errors begin with name:line. Read does not
// check whether the events are consistent; Fold does.
func Read(r io.Reader, name string) (Log, error) {
	return read(r, name, limits{lineBytes: MaxLineBytes, events: MaxEvents})
}

func read(r io.Reader, name string, most limits) (Log, error) {
	var events []Event
	cut, err := jsonl.Read(r, name, most.lineBytes, func(number int, line []byte) error {
		if number > most.events {
			return fmt.Errorf("a record has at most %d events", most.events)
		}
		event, err := decodeEvent(line)
		events = append(events, event)
		return err
	})
	if err != nil {
		return Log{}, err
	}
	return Log{Name: name, Events: events, Cut: cut}, nil
}
