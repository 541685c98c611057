package web

import (
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/testkit/cataloguetest"
	"github.com/stepagent/stepagent/agent/internal/testkit/voicetest"
)

func TestCatalogue(t *testing.T) {
	t.Parallel()
	cataloguetest.Check(t, english(), korean(), ".Words.Milliseconds", ".FromTo", ".LabelHint")
	for name, text := range cataloguetest.Entries(english()) {
		if word := voicetest.Words(text); word != "" {
			t.Errorf("%s has %s: %s", name, word, text)
		}
	}
}

// TestNotes: the notes of package history have a translation.
func TestNotes(t *testing.T) {
	t.Parallel()
	v := &view{Lang: htmlkit.Korean}
	for _, text := range []string{
		"different procedures: [a] before and [b] after",
		"2 different contents of the procedure: only steps with the same id, timeout and interval are compared",
		"different boards: a, b, c, d and 2 more before and b after", "one side has no runs, so nothing is compared", "not compared: 1 step only before and 2 steps only after",
		"release: only the newest 1000 runs count", "last: 1 run is still running", "release: 3 runs are still running", "1 run is on both sides",
		"other contents of the procedure were run in this time; their runs do not count", "runs and load tests are not compared with each other",
		"the result of a load test has quantiles and not the single times, so two load tests alone cannot be told apart; repeat each",
		"the load tests have different numbers of clients or rates",
	} {
		for _, n := range v.notes([]string{text}) {
			if n.English || !strings.ContainsFunc(n.Text, cataloguetest.Hangul) || strings.Contains(n.Text, "$") {
				t.Errorf("%q became %+v", text, n)
			}
		}
	}
	if got := v.notes([]string{"something new"}); !got[0].English {
		t.Errorf("%+v", got)
	}
}
