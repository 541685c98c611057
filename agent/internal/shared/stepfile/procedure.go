// Package stepfile reads step files: the procedure that a client performs.
//
// A step file is one JSON object in UTF-8:
//
//	{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}
//
// Parse tells all the problems of a file at once, each with its line and column. It is as
// strict as the wire: names are case-sensitive, duplicate names are refused, null is not a
// number and 1.0 is not an integer. Nothing in this package needs the network or a clock.
package stepfile

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Limits of a step file.
const (
	// MaxFileBytes is the size of the largest step file that is read, in bytes.
	MaxFileBytes = 16 << 20
	// MaxFindings is the number of errors, and that of warnings, after which Parse only
	// counts the others.
	MaxFindings = 100
	// MaxWait is the longest timeout or interval that a step may have: a hundred years.
	MaxWait = 100 * 365 * 24 * time.Hour
)

// A Procedure is what a step file holds.
type Procedure struct {
	// Name is the path of the step file, or the name of a built-in procedure.
	Name string
	// SHA256 is the hash of the file's bytes, in hexadecimal.
	SHA256 string
	// Steps are the steps in their order; at least one in a sound procedure.
	Steps []Step
}

// A Step is one entry of a procedure.
type Step struct {
	// ID is the step_id, any 64-bit integer: a wrong one is sent too, because that is how
	// the agent's judgement is tested.
	ID int64
	// Timeout is how long the client waits for the reply. Zero is allowed, and waits for
	// nothing.
	Timeout time.Duration
	// Interval is how long the client waits after this step before the next; 0 when the
	// file names none.
	Interval time.Duration
	// Data is the JSON object that goes to the validators, with the white space between its
	// parts removed; nil when there is none.
	Data []byte
	// Line and Column say where the step begins in the file. Both count from 1, columns in
	// bytes.
	Line, Column int
}

// Load reads the step file at path. Warnings do not make it fail. A file that can be read
// but is not sound gives an *Error, which names every problem.
func Load(path string) (Procedure, error) {
	procedure, findings, err := Check(path)
	if err != nil {
		return Procedure{}, err
	}
	if err := AsError(path, findings); err != nil {
		return Procedure{}, err
	}
	return procedure, nil
}

// Check reads the step file at path and returns what Parse says of it. The error is about
// the file as a whole: it cannot be read or is larger than MaxFileBytes.
func Check(path string) (Procedure, []Finding, error) {
	file, err := os.Open(path)
	if err != nil {
		return Procedure{}, nil, fmt.Errorf("cannot read the step file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	// One byte more than the limit tells a file at the limit from one beyond it, for pipes
	// too, whose size is not known beforehand.
	data, err := io.ReadAll(io.LimitReader(file, MaxFileBytes+1))
	if err != nil {
		return Procedure{}, nil, fmt.Errorf("cannot read the step file: %w", err)
	}
	if len(data) > MaxFileBytes {
		return Procedure{}, nil, fmt.Errorf("cannot read the step file: %s is larger than %d MiB", path, MaxFileBytes>>20)
	}
	procedure, findings := Parse(path, data)
	return procedure, findings, nil
}
