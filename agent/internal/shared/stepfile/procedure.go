// Package stepfile reads step files: the procedure that a client performs.
//
// A step file is one JSON object in UTF-8:
//
//	{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}
//
// Parse reports all problems of a file at once, each with its line and column. It is as strict as
// the protocol: names are case-sensitive, duplicate names are errors, null is not a number and 1.0
// is not an integer. The package uses neither the network nor a clock.
package stepfile

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/stepagent/stepagent/testdata"
)

// Limits of a step file.
const (
	// MaxFileBytes is the largest size of a step file.
	MaxFileBytes = 16 << 20
	// MaxFindings is how many errors, and how many warnings, Parse returns; it counts the rest.
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
	// ID is the step_id, any 64-bit integer. Wrong ones are sent too, to test the agent.
	ID int64
	// Timeout is how long the client waits for the reply; 0 is allowed.
	Timeout time.Duration
	// Interval is how long the client waits after this step; 0 if the file has none.
	Interval time.Duration
	// Data is the JSON object for the validators, without insignificant white space; nil for none.
	Data []byte
	// Line and Column are where the step begins. Both count from 1, columns in bytes.
	Line, Column int
}

// Load reads the step file at path and ignores warnings. The errors in a file are returned as an
// *Error.
func Load(path string) (Procedure, error) {
	procedure, findings, err := Check(path)
	if err == nil {
		err = AsError(path, findings)
	}
	if err != nil {
		return Procedure{}, err
	}
	return procedure, nil
}

// Check reads and parses the step file at path, see Read.
func Check(path string) (Procedure, []Finding, error) {
	data, err := Read(path)
	if err != nil {
		return Procedure{}, nil, err
	}
	procedure, findings := Parse(path, data)
	return procedure, findings, nil
}

// Read reads the bytes of the step file at path, without parsing them. It returns an error if the file
// cannot be read or is larger than MaxFileBytes.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the step file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	// One byte beyond the limit shows that a file is too large; the size of a pipe is unknown.
	data, err := io.ReadAll(io.LimitReader(file, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the step file: %w", err)
	}
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("cannot read the step file: %s is larger than %d MiB", path, MaxFileBytes>>20)
	}
	return data, nil
}

// BuiltinNames returns the names of the built-in procedures.
func BuiltinNames() []string { return []string{"success", "failure", "timeout"} }

// Builtin returns the built-in procedure of the name.
func Builtin(name string) (Procedure, error) {
	files := map[string][]byte{
		"success": testdata.Success, "failure": testdata.Failure, "timeout": testdata.Timeout,
	}
	data, ok := files[name]
	if !ok {
		return Procedure{}, fmt.Errorf("no built-in procedure is named %q; choose one of %s",
			name, strings.Join(BuiltinNames(), ", "))
	}
	procedure, findings := Parse(name, data)
	return procedure, AsError(name, findings)
}
