// Package testdata embeds the step files of this folder, the built-in procedures of stepctl. README.md
// describes them.
package testdata

import _ "embed"

// The step files.
var (
	//go:embed success_data.json
	Success []byte
	//go:embed failure_data.json
	Failure []byte
	//go:embed timeout_data.json
	Timeout []byte
)
