//go:build manual

package main

import (
	"os"

	"github.com/stepagent/stepagent/agent/internal/manual"
)

// With the tag "manual" this is no agent but writes its man pages and completions.
func main() { os.Exit(manual.Main(newRoot(), os.Args[1:])) }
