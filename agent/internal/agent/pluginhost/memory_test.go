package pluginhost

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hog is a plugin that takes memory until it has no more. It is built apart: a program with
// the race detector, as which the test program may be built, reserves terabytes.
const hog = `package main

import (
	"context"

	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

type hog struct{}

func (hog) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	for all := [][]byte{}; step.ID == 3; {
		block := make([]byte, 16<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		all = append(all, block)
		if len(all) > 64 { // a gigabyte: no limit is in force
			return validator.FailWith(validator.RuleBroken, "too much", nil), nil
		}
	}
	return validator.PassWith(nil), nil
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "hog", Version: "1", Validators: []sdk.Validator{{Name: "hog",
		New: func([]byte) (validator.Validator, error) { return hog{}, nil }}}})
}
`

// A plugin that takes memory without end dies of its limit; the step that made it do so is
// undecided, and the next process judges on.
func TestP10MemoryHog(t *testing.T) {
	besideOthers(t)
	dir := t.TempDir()
	source, program := filepath.Join(dir, "hog.go"), filepath.Join(dir, "hog")
	if err := os.WriteFile(source, []byte(hog), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "hog", Path: program, Limits: Limits{MemoryBytes: 256 << 20}})
	g := set.Groups()[0]
	passes(t, g, 1)
	a := within(t, patience, g, 3)[0]
	if a.Err == nil || !strings.Contains(a.Err.Error(), "two processes were lost over this step") {
		t.Errorf("got %+v", a)
	}
	passes(t, g, 1)
	if st := set.Status()[0]; st.Restarts != 2 {
		t.Errorf("status = %+v", st)
	}
}
