//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

// linuxCmds are the commands of scripts that are for Linux only.
var linuxCmds map[string]func(ts *testscript.TestScript, neg bool, args []string)
