package report

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A presentation is how the table and the sentence show an outcome.
type presentation struct {
	word   string // in the table and in progress lines
	fate   string // in the sentence, after "was" or "were"
	colour string
}

var presentations = map[record.Outcome]presentation{
	record.NotRun:         {"not run", "not run", yellow},
	record.Passed:         {"ok", "", green},
	record.Failed:         {"NOK", "refused: ", red}, // followed by the reason
	record.TimedOut:       {"timeout", "not answered in time", red},
	record.ConnectionLost: {"lost", "cut off: the connection was lost", red},
	record.WrongReply:     {"wrong reply", "answered with something else", red},
	record.Unreachable:    {"unreachable", "not sent: no connection", red},
	record.Unanswered:     {"unanswered", "sent, and interrupted before a reply came", yellow},
}

// Word is the word for an outcome in the table and in progress lines.
func Word(outcome record.Outcome) string { return presentations[outcome].word }

// Replied reports whether a step with the outcome has a reply of the agent, and so a response
// time.
func Replied(outcome record.Outcome) bool {
	return outcome == record.Passed || outcome == record.Failed
}

// Detail is the step's detail, its late reply and what Retried says, if any, safe to print.
func Detail(step record.StepResult) string {
	parts := []string{}
	if step.Detail != "" {
		parts = append(parts, logging.Clean(step.Detail))
	}
	if step.Late != nil {
		parts = append(parts, "one came after "+Span(step.Late.Took)+", too late")
	}
	if retried := Retried(step); retried != "" {
		parts = append(parts, retried)
	}
	return strings.Join(parts, "; ")
}

// Span formats a measured duration with the unit that suits it.
func Span(d time.Duration) string {
	number, unit := phrase.Measure(d)
	return number + " " + unit
}

// columns is the width of a text on a terminal.
func columns(text string) int {
	n := 0
	for _, r := range text {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.Is(unicode.Mn, r):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
