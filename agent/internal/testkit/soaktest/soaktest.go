// Package soaktest bounds tests that repeat much or take long. `go test` makes enough of their repetitions
// to show each fault; the environment variable SOAK_PERCENT, a percentage of the full number, asks for
// more of them. .ci/run sets it.
package soaktest

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

const variable = "SOAK_PERCENT"

// Percent returns the percentage of the full number of repetitions that is asked for, 0 where none is.
func Percent(t testing.TB) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return 0
	}
	percent, err := strconv.Atoi(text)
	if err != nil || percent < 1 {
		t.Fatalf("%s=%s: want a percentage from 1", variable, text)
	}
	return percent
}

// Repetitions returns the number of repetitions of a test: the percentage asked for of the full number,
// and the usual number at least.
func Repetitions(t testing.TB, full, usual int) int {
	t.Helper()
	return max(usual, full*Percent(t)/100)
}

// Parallel lets n tests run in parallel, unless the flag -test.parallel was given: tests that mostly wait
// do not need a processor each. It is for TestMain.
func Parallel(n int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic(err)
	}
}

// InParallel returns tests whose Run calls Parallel first. It is for testscript.Main, which decides whether there
// are any tests to run.
func InParallel(m *testing.M, n int) interface{ Run() int } { return inParallel{m, n} }

type inParallel struct {
	*testing.M
	n int
}

func (p inParallel) Run() int {
	Parallel(p.n)
	return p.M.Run()
}

// Only skips a test whose faults shorter tests show too, where no repetitions are asked for.
func Only(t testing.TB) {
	t.Helper()
	if Percent(t) == 0 {
		t.Skip("a soak test: set " + variable + ", as .ci/run does")
	}
}
