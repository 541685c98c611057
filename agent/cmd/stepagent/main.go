//go:build !manual

// Command stepagent is the agent: it judges whether clients perform numbered procedures in
// order, in time and within their rules, over TCP.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
