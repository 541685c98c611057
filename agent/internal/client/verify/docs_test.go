package verify_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const page = "../../../../docs/verify.md"

// TestCodesAreDocumented: every code of a finding stands in the page.
func TestCodesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?:Findings\.Add|findings\.Add|lacks|limited|fails)\((?:[^"(]|\([^)]*\))*"([a-z_]+)"`)
	codes := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range found.FindAllStringSubmatch(string(source), -1) {
			codes++
			if !strings.Contains(string(doc), "`"+match[1]+"`") {
				t.Errorf("%s: the code %s is not in %s", file, match[1], page)
			}
		}
	}
	if codes < 30 {
		t.Errorf("only %d codes were found", codes)
	}
}

// TestPageShowsTheScript: what the page shows is what the commands' test compares with.
func TestPageShowsTheScript(t *testing.T) {
	doc, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../../../../testdata/script/stepctl_verify.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, golden, _ := strings.Cut(string(script), "-- run.golden --\n")
	golden, _, _ = strings.Cut(golden, "-- ")
	if golden == "" || !strings.Contains(string(doc), "$ stepctl verify run.pcapng --steps steps.json\n"+golden) {
		t.Errorf("the page does not show:\n%s", golden)
	}
}
