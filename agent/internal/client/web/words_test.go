package web

import (
	"testing"

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
