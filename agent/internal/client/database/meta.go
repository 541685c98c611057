package database

import (
	"fmt"
	"regexp"
	"time"
)

// A Kind is a kind of run.
type Kind string

// The kinds.
const (
	// KindRun is a run of a procedure, which has a record.
	KindRun Kind = "run"
	// KindLoad is a load test, which has a result and no record.
	KindLoad Kind = "load"
)

// A State says whether a run goes on.
type State string

// The states.
const (
	Running State = "running"
	// Ended: the run has its end, whatever its cause.
	Ended State = "ended"
	// Interrupted: stepctl was killed, or its machine or its connection to the database failed.
	Interrupted State = "interrupted"
)

// Meta is what is known of a run besides its record. The zero value is a run of a step file at no
// board.
type Meta struct {
	// ID names the run; empty for a new id.
	ID string `json:"id,omitzero"`
	// Kind is KindRun unless set.
	Kind Kind `json:"kind,omitzero"`
	// Procedure is the name; empty for that of the record. Version is its version in this database,
	// 0 if it is from a file.
	Procedure string `json:"procedure,omitzero"`
	Version   int64  `json:"version,omitzero"`
	// Board names what is tested; may be empty.
	Board  string            `json:"board,omitzero"`
	Labels map[string]string `json:"labels,omitzero"`
	// Entry, Attempt and Worker are set for a run that an entry of the queue asks for.
	Entry   int64  `json:"entry,omitzero"`
	Attempt int64  `json:"attempt,omitzero"`
	Worker  string `json:"worker,omitzero"`
	// Address, Client and Host describe a load test. A run has them in its record.
	Address string `json:"address,omitzero"`
	Client  string `json:"client,omitzero"`
	Host    string `json:"host,omitzero"`
	// Started is the start of a run; zero for now, or for that of the record.
	Started time.Time `json:"started,omitzero"`
}

// A MetaError says what in a Meta no run can have, in any database.
type MetaError struct{ Err error }

func (e *MetaError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *MetaError) Unwrap() error { return e.Err }

var idPattern = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}-[0-9a-f]{6}$`)

// check returns why a run with this Meta cannot be stored, and sets what has a default.
func (m *Meta) check(now time.Time) error {
	if m.Kind == "" {
		m.Kind = KindRun
	}
	if m.Started.IsZero() {
		m.Started = now
	}
	m.Started = m.Started.UTC().Truncate(time.Microsecond)
	if m.ID == "" {
		m.ID = NewID(m.Started)
	}
	switch {
	case !idPattern.MatchString(m.ID):
		return fmt.Errorf("%q is no id of a run", m.ID)
	case m.Kind != KindRun && m.Kind != KindLoad:
		return fmt.Errorf("%q is no kind of run", m.Kind)
	}
	for what, name := range map[string]string{"board": m.Board, "procedure": m.Procedure, "worker": m.Worker} {
		if name == "" {
			continue
		}
		if err := CheckName(what, name); err != nil {
			return err
		}
	}
	return CheckLabels(m.Labels)
}
