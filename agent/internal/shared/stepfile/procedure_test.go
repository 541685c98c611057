package stepfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "steps.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	path := write(t, one(`{"step_id":100,"timeout":0.01}`))
	procedure, err := stepfile.Load(path)
	if err != nil {
		t.Fatalf("warnings made Load fail: %v", err)
	}
	if procedure.Name != path || procedure.Steps[2].ID != 100 {
		t.Errorf("loaded %+v", procedure)
	}
}

func TestLoadError(t *testing.T) {
	path := write(t, one(`{"step_id":"3","timeout":-1}`))
	_, err := stepfile.Load(path)
	want := path + ":4:12: step 3: step_id: must be a whole number, not a string; write it without the quotes\n" +
		path + ":4:26: step 3: timeout: must not be negative, got -1"
	if err == nil || err.Error() != want {
		t.Errorf("got error\n%v\nwant\n%s", err, want)
	}
	var unsound *stepfile.Error
	if !errors.As(err, &unsound) || len(unsound.Findings) != 2 {
		t.Errorf("the error %#v does not carry the findings", err)
	}
}

func TestLoadUnreadable(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.json")
	large := write(t, tenSteps(nil)+strings.Repeat(" ", stepfile.MaxFileBytes))
	for path, want := range map[string]string{
		missing:     "no such file or directory",
		t.TempDir(): "is a directory",
		large:       "is larger than 16 MiB",
	} {
		if _, err := stepfile.Load(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Load(%s) = %v, want the path and %q", path, err, want)
		}
	}
	full := write(t, tenSteps(nil)+strings.Repeat(" ", stepfile.MaxFileBytes-len(tenSteps(nil))))
	if _, err := stepfile.Load(full); err != nil {
		t.Errorf("a file at the limit was refused: %v", err)
	}
}

func TestBuiltin(t *testing.T) {
	for _, name := range stepfile.BuiltinNames() {
		procedure, err := stepfile.Builtin(name)
		if err != nil || len(procedure.Steps) != 10 || procedure.Name != name {
			t.Errorf("Builtin(%q) = %+v, %v", name, procedure, err)
		}
		fromFile, err := stepfile.Load("../../../../testdata/" + name + "_data.json")
		if err != nil || fromFile.SHA256 != procedure.SHA256 {
			t.Errorf("Builtin(%q) is not testdata/%s_data.json (%v)", name, name, err)
		}
	}
	if _, err := stepfile.Builtin("succes"); err == nil || !strings.Contains(err.Error(), "success, failure, timeout") {
		t.Errorf("the error for an unknown name is %v", err)
	}
}

// What testdata/README.md promises of the built-in procedures.
func TestBuiltinPromises(t *testing.T) {
	warnings := map[string][]string{
		"failure": {
			"5:18: warning: step 3: step_id: 100 is outside 1..10",
			"11:34: warning: step 9: timeout: 2 s is below the usual minimum of 5 s",
			"12:34: warning: step 10: timeout: 0.01 s is below the usual minimum of 5 s",
		},
	}
	longest := map[string]time.Duration{
		"success": 6 * time.Second, "failure": 5 * time.Second, "timeout": 4 * time.Second,
	}
	for _, name := range stepfile.BuiltinNames() {
		procedure, findings, err := stepfile.Check("../../../../testdata/" + name + "_data.json")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, finding := range findings {
			got = append(got, finding.String())
		}
		if strings.Join(got, "\n") != strings.Join(warnings[name], "\n") {
			t.Errorf("%s: findings are\n%s", name, strings.Join(got, "\n"))
		}
		var intervals time.Duration
		for _, step := range procedure.Steps {
			intervals += step.Interval
		}
		if intervals > longest[name] {
			t.Errorf("%s: the intervals are %v, more than %v", name, intervals, longest[name])
		}
	}
	procedure, err := stepfile.Builtin("timeout")
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []int{4, 6, 8} {
		if got := procedure.Steps[place-1].Timeout; got != 5*time.Second {
			t.Errorf("timeout: step %d waits %v, want 5 s", place, got)
		}
	}
	// The reply that comes 0.8 s late must arrive well between the reply of step 7 and the
	// sending of step 8, which loses the connection.
	after6, after7 := procedure.Steps[5].Interval, procedure.Steps[6].Interval
	if late := 800 * time.Millisecond; late < after6+200*time.Millisecond || late > after6+after7-500*time.Millisecond {
		t.Errorf("timeout: the intervals %v and %v leave no room for a reply that is %v late", after6, after7, late)
	}
}
