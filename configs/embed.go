// Package configs holds the sample configs, so that a command can carry them.
package configs

import _ "embed" // for the files below

// Agent is stepagent.toml: every key with its default.
//
//go:embed stepagent.toml
var Agent string

// Faults is faults.toml: an agent that misbehaves as the timeout procedure needs it.
//
//go:embed faults.toml
var Faults string
