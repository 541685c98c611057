package livepage_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stepagent/stepagent/agent/internal/testkit/voicetest"
)

// catalogue returns the texts of a language by their place, such as "tiles.open".
func catalogue(t *testing.T, name string) map[string]string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, name), "export default ")
	var tree map[string]any
	if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimSpace(text), ";")), &tree); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	all := map[string]string{}
	var walk func(place string, v any)
	walk = func(place string, v any) {
		if text, ok := v.(string); ok {
			all[place] = text
			return
		}
		for key, child := range v.(map[string]any) {
			walk(strings.TrimPrefix(place+"."+key, "."), child)
		}
	}
	walk("", tree)
	return all
}

// values returns the names in braces, sorted.
func values(text string) []string {
	found := regexp.MustCompile(`\{\w+\}`).FindAllString(text, -1)
	slices.Sort(found)
	return found
}

// TestLanguages: no language lacks an entry, and each fills in the same values.
func TestLanguages(t *testing.T) {
	t.Parallel()
	english, korean := catalogue(t, "en.js"), catalogue(t, "ko.js")
	for place, text := range korean {
		want, ok := english[place]
		if !ok || !slices.Equal(values(text), values(want)) {
			t.Errorf("ko.js: %s is %q, in English %q", place, text, want)
		}
		if place != "language" && strings.ContainsFunc(want, unicode.IsLower) && text == want && !strings.HasPrefix(place, "units.") {
			t.Errorf("ko.js: %s is in English: %q", place, text)
		}
	}
	for place, text := range english {
		// Korean has one form for all numbers.
		if _, ok := korean[place]; !ok && !strings.HasSuffix(place, ".one") {
			t.Errorf("ko.js lacks %s: %q", place, text)
		}
		if word := voicetest.Words(text); word != "" {
			t.Errorf("en.js: %s has %s", place, word)
		}
	}
}

// TestWordsUsed: the page uses every entry.
func TestWordsUsed(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, name := range names(t) {
		if name != "en.js" && name != "ko.js" {
			all.WriteString(read(t, name))
		}
	}
	used := map[string]bool{"language": true} // catalogue.language
	for _, found := range regexp.MustCompile(`[^/]words\.(\w+)|data-(?:text|label)="(\w+)"`).FindAllStringSubmatch(all.String(), -1) {
		used[found[1]+found[2]] = true
	}
	// Entries whose names are in a variable.
	for _, name := range []string{"rate", "latency", "leftOut", "failuresLeftOut", "lostSoFar"} {
		used[name] = true
	}
	tops := map[string]bool{}
	for place := range catalogue(t, "en.js") {
		top, _, _ := strings.Cut(place, ".")
		tops[top] = true
	}
	for _, name := range slices.Sorted(maps.Keys(tops)) {
		if !used[name] {
			t.Errorf("en.js: %s is not used", name)
		}
		delete(used, name)
	}
	for name := range used {
		t.Errorf("the page uses %s, which en.js lacks", name)
	}
}
