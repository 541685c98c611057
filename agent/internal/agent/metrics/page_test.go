package metrics

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPage: docs/metrics.md has each metric with its type, its labels, and an example with its name, and
// no other; and each alert with its severity.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(stepagent_[a-z_]+)` \\| (\\w+) \\| ((?:`\\w+`(?:, )?)*) ?\\| [^|]+ \\| `([^|]+)` \\|$")
	described := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		described[m[1]] = m[2] + " " + m[3]
		if !strings.Contains(m[4], m[1]) {
			t.Errorf("the example of %s does not name it: %s", m[1], m[4])
		}
	}
	for _, m := range metrics {
		name, want := namespace+"_"+m.name, [...]string{gauge: "gauge", counter: "counter", histogram: "histogram"}[m.kind]+" "+quoted(m.labels)
		if got := described[name]; got != want {
			t.Errorf("docs/metrics.md describes %s as %q, want %q", name, got, want)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("docs/metrics.md describes %s, which does not exist", name)
	}

	rules, err := os.ReadFile(monitoring + "stepagent-alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var inPage, inRules []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(Stepagent\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(page), -1) {
		inPage = append(inPage, fmt.Sprint(m[1:]))
	}
	for _, m := range regexp.MustCompile(`(?s)- alert: (\w+)\n.*?severity: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		inRules = append(inRules, fmt.Sprint(m[1:]))
	}
	slices.Sort(inPage)
	slices.Sort(inRules)
	if !slices.Equal(inPage, inRules) {
		t.Errorf("alerts in docs/metrics.md: %v\nin the rules: %v", inPage, inRules)
	}
}

func quoted(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	return "`" + strings.Join(labels, "`, `") + "`"
}
