package pluginhost

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// faultRows is how many rows the table of docs/plugin-faults.md has.
const faultRows = 17

// Each row of the table names tests that exist, and each test that is named after a row
// stands there.
func TestEveryFaultHasItsTest(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../../docs/plugin-faults.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testsIn(t, ".", "process", "program", "stream", "../daemon", "../../../cmd/stepagent")
	row := regexp.MustCompile(`(?m)^\| P(\d+) \|.*\|(.*)\|$`)
	name := regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	var rows []string
	listed := map[string]string{} // a test and its first row
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		rows = append(rows, m[1])
		names := name.FindAllStringSubmatch(m[2], -1)
		if len(names) == 0 {
			t.Errorf("row P%s names no test", m[1])
		}
		for _, n := range names {
			if !slices.Contains(tests, n[1]) {
				t.Errorf("row P%s names %s, which does not exist", m[1], n[1])
			}
			if strings.HasPrefix(n[1], "TestP") && !strings.HasPrefix(n[1], fmt.Sprintf("TestP%02s", m[1])) {
				continue // it is told under another row too
			}
			listed[n[1]] = m[1]
		}
	}
	var want []string
	for n := range faultRows {
		want = append(want, fmt.Sprint(n+1))
	}
	if !slices.Equal(rows, want) {
		t.Errorf("the rows are %v, want %v", rows, want)
	}
	ofARow := regexp.MustCompile(`^TestP\d\d`)
	for _, test := range tests {
		if ofARow.MatchString(test) && listed[test] == "" {
			t.Errorf("%s is not in its row of the table", test)
		}
	}
}

// testsIn returns the names of the tests in some folders.
func testsIn(t *testing.T, folders ...string) (names []string) {
	t.Helper()
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no tests, %v", folder, err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
					names = append(names, f.Name.Name)
				}
			}
		}
	}
	return names
}
