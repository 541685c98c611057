//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

// linuxCmds are the commands of scripts that are for Linux only.
var linuxCmds map[string]func(ts *testscript.TestScript, neg bool, args []string)

// linuxPrograms are the programs of this test binary for Linux only.
var linuxPrograms map[string]func()
