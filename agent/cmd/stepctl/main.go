//go:build !manual

// Command stepctl is the client: it performs the procedure of a step file against one agent and
// reports the result. docs/guide.md is the manual, and testdata/script has examples.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
