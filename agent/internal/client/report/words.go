package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// Word is the word for an outcome in the table and in the lines of a run.
func Word(outcome record.Outcome) string {
	switch outcome {
	case record.Passed:
		return "ok"
	case record.Failed:
		return "NOK"
	case record.TimedOut:
		return "timeout"
	case record.ConnectionLost:
		return "lost"
	case record.WrongReply:
		return "wrong reply"
	case record.Unreachable:
		return "unreachable"
	case record.Unanswered:
		return "unanswered"
	default:
		return "not run"
	}
}

// Replied reports whether the agent's reply was credited to the step, so that it has a
// response time.
func Replied(outcome record.Outcome) bool {
	return outcome == record.Passed || outcome == record.Failed
}

// Detail is the step's own detail, with what else is worth knowing of it, safe to print;
// empty when there is nothing to say.
func Detail(step record.StepResult) string {
	parts := []string{}
	if step.Detail != "" {
		parts = append(parts, logging.Clean(step.Detail))
	}
	if step.Late != nil {
		parts = append(parts, "one came after "+Span(step.Late.Took)+", too late")
	}
	return strings.Join(parts, "; ")
}

// Span writes a length of time with the unit that suits it.
func Span(d time.Duration) string {
	switch {
	case d < 9995*time.Microsecond:
		return fmt.Sprintf("%.2f ms", milliseconds(d))
	case d < 999950*time.Microsecond:
		return fmt.Sprintf("%.1f ms", milliseconds(d))
	default:
		return fmt.Sprintf("%.3f s", d.Seconds())
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// columns is how many columns of a terminal a text takes.
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
