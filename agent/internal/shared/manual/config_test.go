package manual_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/manual"
	"github.com/stepagent/stepagent/configs"
)

func TestWriteConfig(t *testing.T) {
	page := writeConfig(t, `# About this sample.
#
# About every file.

# The *least* weight,
# in grams.
least = 1
most = "5_kg"

# Of scales.
[scales]
count = 2
#[[scales.spare]]
#name = "x"
`)
	for _, part := range []string{
		"an introduction\n\n.PP\nAbout every file.\n",
		".TP\n\\fBleast\\fP = 1, \\fBmost\\fP = \"5_kg\"\nThe *least* weight, in grams.\n",
		".SH [scales]\nOf scales.\n", "count = 2\n", "[[scales.spare]]\nname = \"x\"\n",
		".SH SEE ALSO\n\\fBx(1)\\fP, \\fBy(1)\\fP",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
	if strings.Contains(page, "About this sample") {
		t.Errorf("the page has what the sample says of itself:\n%s", page)
	}
}

// Every line of the sample that sets a key stands in the page.
func TestWriteConfig_HasEveryKey(t *testing.T) {
	page := strings.NewReplacer(`\fB`, "", `\fP`, "").Replace(writeConfig(t, configs.Agent))
	keys := 0
	for line := range strings.Lines(configs.Agent) {
		example, isExample := strings.CutPrefix(line, "#")
		if !strings.Contains(line, " = ") || isExample && strings.HasPrefix(example, " ") {
			continue
		}
		keys++
		if !strings.Contains(page, strings.TrimSpace(example)) && !strings.Contains(page, strings.TrimSpace(line)) {
			t.Errorf("the page lacks %q", line)
		}
	}
	if keys < 30 {
		t.Errorf("only %d keys were looked for", keys)
	}
}

func writeConfig(t *testing.T, sample string) string {
	t.Helper()
	dir := t.TempDir()
	page := manual.ConfigPage{Name: "x.toml", Short: "settings of x", Intro: "an introduction", Sample: sample, SeeAlso: []string{"x(1)", "y(1)"}}
	if err := manual.WriteConfig(page, dir, edition); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "man5", "x.toml.5"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
