package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/conformance"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/validator"
)

const example = "../../../../plugins/examples/voltage"

// TestGuide: the program in the guide is the one that is compiled here, and short.
func TestGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(example, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(guide), "```go\n"+string(program)+"```\n") {
		t.Errorf("the program in the guide is not %s/main.go", example)
	}
	if n := strings.Count(string(program), "\n"); n > 30 {
		t.Errorf("the program has %d lines, and is said to have at most 30", n)
	}
	steady, err := os.ReadFile("../../../../plugins/examples/steady/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(steady), "\n\nfunc (s *steady) Validate")
	rule, _, _ = strings.Cut(rule, "\nfunc main()")
	if rule == "" || !strings.Contains(string(guide), "```go\nfunc (s *steady) Validate"+rule+"```\n") {
		t.Error("the rule with a memory in the guide is not that of plugins/examples/steady")
	}
	tests, err := os.ReadFile(filepath.Join(example, "main_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	check := regexp.MustCompile(`(?m)^\tvalidatortest\.Check.*$`).FindString(string(tests))
	if check == "" || !strings.Contains(string(guide), check) {
		t.Errorf("the guide does not have the test %q", check)
	}
}

// TestGuideInputs: the guide has every input with its names.
func TestGuideInputs(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| ([a-z_]+) \\| `Input(\\w+)` \\| `([A-Z_]+)` \\| `(Session|Step)\\.\\w+`").FindAllStringSubmatch(string(guide), -1)
	var names []string
	for _, row := range rows {
		names = append(names, row[1])
		if row[3] != strings.ToUpper(row[1]) || !strings.EqualFold(row[2], strings.ReplaceAll(row[1], "_", "")) {
			t.Errorf("the names in %q are not of one input", row[0])
		}
	}
	if want := validator.AllInputs.Names(); !slices.Equal(names, want) {
		t.Errorf("the guide has the inputs %q, want %q", names, want)
	}
}

// TestGuideProgram: what the guide says of its program holds.
func TestGuideProgram(t *testing.T) {
	soaktest.Only(t) // the build takes longer than the check; the example's own test checks it in this process
	t.Parallel()
	path := filepath.Join(t.TempDir(), "voltage")
	if out, err := exec.Command("go", "build", "-o", path, example).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, sound := check(t, "", conformance.Subject{Path: path, Settings: []byte(`{"volts":28}`), Data: [][]byte{[]byte(`{"voltage":27.5}`)}})
	if !sound || !strings.Contains(l.String(), "ok: what it reads: data; verdicts are kept\n") || !strings.Contains(l.String(), "ok: inputs: ") {
		t.Errorf("not sound:\n%s", l)
	}
}
