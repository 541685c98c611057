// Package testdata carries the step files of this directory into the programs, as the
// built-in procedures of stepctl. See README.md for what is in each of them.
package testdata

import _ "embed"

// The step files, as they are.
var (
	//go:embed success_data.json
	Success []byte
	//go:embed failure_data.json
	Failure []byte
	//go:embed timeout_data.json
	Timeout []byte
)
