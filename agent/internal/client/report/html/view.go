package html

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A view is what the template sees.
type view struct {
	Lang   Language
	Words  *words
	Run    record.Run
	Split  *report.Split
	Style  template.CSS
	Policy string

	chart chart
	// previous is the index of the earlier step, which did not pass, that the one at an index
	// tries again.
	previous map[int]int
	// selected are the steps that have a row of their own.
	selected selection
	// again counts the further replies to the step at an index.
	again map[int][]record.Event
}

// groupSteps is how many steps stand in one table. A longer procedure has several, which are
// folded where everything passed.
const groupSteps = 100

// A group is some neighbouring steps.
type group struct {
	Steps  []record.StepResult
	Folded bool // to be unfolded by the reader
	Alone  bool // there is no other
	Title  string
}

// Groups returns the steps that have a row in groups.
func (v view) Groups() []group {
	steps := v.Run.Steps
	if v.Long() {
		steps = v.chosen()
	}
	var groups []group
	for part := range slices.Chunk(steps, groupSteps) {
		passed := 0
		for _, step := range part {
			if step.Outcome == record.Passed {
				passed++
			}
		}
		first, last := part[0].Index, part[len(part)-1].Index
		g := group{Steps: part, Alone: len(steps) <= groupSteps, Folded: passed == len(part),
			Title: fmt.Sprintf(v.Words.Group, first, last, passed, len(part)-passed)}
		if v.Long() {
			g.Folded, g.Title = len(groups) > 0, fmt.Sprintf(v.Words.FailedGroup, first, last, len(part))
		}
		groups = append(groups, g)
	}
	return groups
}

// Kind is the verdict's class.
func (v view) Kind() string { return v.Run.Verdict.String() }

// Mark is the verdict in a word.
func (v view) Mark() string {
	switch v.Run.Verdict {
	case record.Pass:
		return v.Words.MarkPass
	case record.Fail:
		return v.Words.MarkFail
	default:
		return v.Words.MarkUndecided
	}
}

// Sentence is the verdict in one sentence.
func (v view) Sentence() string {
	w, run := v.Words, v.Run
	total, passed := len(run.Steps), run.Counts[record.Passed]
	switch rest := total - passed; {
	case run.Unreached():
		return fmt.Sprintf(w.Unreached, logging.Clean(run.Start.Address))
	case total == 0:
		return w.Nothing
	case run.Verdict == record.Pass && total == 1:
		return w.PassOne
	case run.Verdict == record.Pass:
		return fmt.Sprintf(w.Pass, total)
	case run.Verdict == record.Fail && run.Cut():
		return fmt.Sprintf(w.FailCut, rest, total)
	case run.Verdict == record.Fail && run.Cause == record.Interrupted:
		return fmt.Sprintf(w.FailStopped, rest, total)
	case run.Verdict == record.Fail:
		return fmt.Sprintf(w.Fail, rest, total)
	case run.Cut():
		return fmt.Sprintf(w.Cut, passed, total, rest)
	default:
		return fmt.Sprintf(w.Stopped, passed, total, rest)
	}
}

// When says when the run was and how long it took.
func (v view) When() string { return fmt.Sprintf(v.Words.When, v.Start(), v.Time(v.Run.Duration)) }

// Start is the wall clock at the start.
func (v view) Start() string { return v.Run.Start.Time.Format("2006-01-02 15:04:05 (UTC-07:00)") }

// Time writes a length of time that was measured.
func (v view) Time(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case d < 9995*time.Microsecond:
		return fmt.Sprintf(v.Words.Milliseconds, strconv.FormatFloat(ms, 'f', 2, 64))
	case d < 999950*time.Microsecond:
		return fmt.Sprintf(v.Words.Milliseconds, strconv.FormatFloat(ms, 'f', 1, 64))
	default:
		return fmt.Sprintf(v.Words.Seconds, strconv.FormatFloat(d.Seconds(), 'f', 3, 64))
	}
}

// Wait writes a length of time that was declared, as it was.
func (v view) Wait(d time.Duration) string { return fmt.Sprintf(v.Words.Seconds, v.Value(d)) }

// Value writes a length of time in seconds for a program.
func (v view) Value(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// Clean makes text from elsewhere safe to show.
func (v view) Clean(text string) string { return logging.Clean(text) }

// Agents are the versions that the agents gave of themselves.
func (v view) Agents() []string {
	if len(v.Run.Agents) == 0 {
		return []string{v.Words.AgentUnknown}
	}
	return v.Run.Agents
}

// Ending says how the run ended.
func (v view) Ending() string { return v.Words.Endings[v.Run.Cause] }

// Replied reports whether the step has a response time.
func (v view) Replied(step record.StepResult) bool { return report.Replied(step.Outcome) }

// Waited reports whether the client waited for the step at all.
func (v view) Waited(step record.StepResult) bool {
	return step.Outcome != record.NotRun && step.Outcome != record.Unreachable
}

// Result is the outcome in a word, and its symbol for who sees no colours.
func (v view) Result(step record.StepResult) string { return v.Words.Results[step.Outcome] }

// Symbol is a sign for the outcome.
func (v view) Symbol(step record.StepResult) string {
	switch step.Outcome {
	case record.Passed:
		return "✓"
	case record.Failed:
		return "✗"
	case record.TimedOut:
		return "◷"
	case record.NotRun, record.Unanswered:
		return "–"
	default:
		return "!"
	}
}

// Class is the step's class in the style sheet.
func (v view) Class(step record.StepResult) string { return class(step.Outcome) }

func class(outcome record.Outcome) string {
	switch outcome {
	case record.Passed:
		return "p"
	case record.Failed:
		return "f"
	case record.TimedOut:
		return "t"
	case record.NotRun, record.Unanswered:
		return "n"
	default:
		return "b"
	}
}
