package html

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/livepage"
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// livePage returns a file of the agent's live page.
func livePage(t *testing.T, name string) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	livepage.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+name, nil))
	if recorder.Code != http.StatusOK {
		t.Fatal(name, recorder.Code)
	}
	return recorder.Body.String()
}

// TestWordsOfLivePage: the live page calls the same thing by the same words, in each language.
func TestWordsOfLivePage(t *testing.T) {
	t.Parallel()
	for _, language := range []Language{English, Korean} {
		_, text, _ := strings.Cut(livePage(t, string(language)+".js"), "export default ")
		var live struct {
			Reasons map[protocol.Reason]string

			Outcomes, Lines, Ended, MarksOfSessions, Tiles map[string]string

			Problems, Failed, Session, Client, Reason, Latency, Started string
		}
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&live); err != nil {
			t.Fatal(err)
		}
		w := wordsOf(language)
		for _, pair := range [][2]string{
			{live.Outcomes["p"], w.ColPassed}, {live.Outcomes["f"], w.ColRest},
			{live.Lines["passed"], w.ColPassed}, {live.Lines["failed"], w.ColRest},
			{live.Ended["pass"], w.Marks[record.Pass]}, {live.Ended["fail"], w.Marks[record.Fail]},
			{live.MarksOfSessions["pass"], w.Marks[record.Pass]}, {live.MarksOfSessions["fail"], w.Marks[record.Fail]},
			{live.Tiles["passed"], w.ColPassed}, {live.Tiles["failed"], w.ColRest}, {live.Tiles["median"], w.ColMedian},
			{live.Problems, w.Problems}, {live.Failed, w.FailedSteps}, {live.Session, w.Session}, {live.Client, w.Client},
			{live.Latency, w.ColTime}, {live.Started, w.Started},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: the live page says %q, the report %q", language, pair[0], pair[1])
			}
		}
		own := maps.Clone(w.Reasons)
		for _, client := range []protocol.Reason{protocol.Timeout, protocol.ConnectionLost, protocol.WrongReply, protocol.Unreachable} {
			delete(own, client) // not given by an agent
		}
		if !maps.Equal(live.Reasons, own) {
			t.Errorf("%s: the live page explains the reasons by %v, the report by %v", language, live.Reasons, own)
		}
	}
}

// TestColoursOfLivePage: the live page has the report's colours, light and dark.
func TestColoursOfLivePage(t *testing.T) {
	t.Parallel()
	colours := regexp.MustCompile(`--\w+:light-dark\(#\w+,#\w+\)`).FindAllString(htmlkit.PairedColours(), -1)
	live := livePage(t, "style.css")
	for _, colour := range colours {
		if !strings.Contains(live, colour) {
			t.Errorf("the live page lacks the report's colour %s", colour)
		}
	}
	if len(colours) != 14 {
		t.Errorf("%d colours were found, want 14", len(colours))
	}
}
