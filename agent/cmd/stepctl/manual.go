//go:build manual

package main

import (
	"os"

	"github.com/stepagent/stepagent/agent/internal/shared/manual"
)

// With the tag "manual" this is no client but writes its man pages and completions.
func main() { os.Exit(manual.Main(newRoot(os.Stdout, os.Stderr), os.Args[1:])) }
