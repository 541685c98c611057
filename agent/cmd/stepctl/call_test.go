package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// runs runs stepctl in this process and returns its exit code and what it writes.
func runs(args ...string) (code int, stdout, stderr []byte, err error) {
	var files [2]*os.File
	for i := range files {
		if files[i], err = os.CreateTemp("", "stepctl"); err != nil {
			return 0, nil, nil, err
		}
		defer func() { _ = os.Remove(files[i].Name()) }()
		defer func() { _ = files[i].Close() }()
	}
	code = run(args, files[0], files[1])
	if stdout, err = os.ReadFile(files[0].Name()); err == nil {
		stderr, err = os.ReadFile(files[1].Name())
	}
	return code, stdout, stderr, err
}

// calls is held by a script that runs stepctl in this process, whose folder is that of the script.
var calls sync.Mutex

func cmdCall(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if args[1] != "stepctl" {
		ts.Fatalf("%s is not stepctl", args[1])
	}
	calls.Lock()
	defer calls.Unlock()
	folder, err := os.Getwd()
	ts.Check(err)
	ts.Check(os.Chdir(ts.MkAbs(".")))
	defer func() { ts.Check(os.Chdir(folder)) }()
	got, stdout, stderr, err := runs(args[2:]...)
	ts.Check(err)
	_, _ = ts.Stdout().Write(stdout)
	_, _ = ts.Stderr().Write(stderr)
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// withoutSettings are tests in whose process stepctl has neither a settings file nor variables.
type withoutSettings struct{ tests interface{ Run() int } }

func (w withoutSettings) Run() int {
	err := errors.Join(os.Setenv("HOME", "/no-home"), os.Unsetenv("XDG_CONFIG_HOME"))
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "STEPCTL_") {
			err = errors.Join(err, os.Unsetenv(name))
		}
	}
	if err != nil {
		panic(err)
	}
	return w.tests.Run()
}
