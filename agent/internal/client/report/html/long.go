package html

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// Limits of a page. One of a procedure with more than maxRows steps has a row for each stretch
// of neighbouring steps, and a row each for at most maxRows of those that did not pass.
const (
	maxRows      = 1000
	maxStretches = 100
	// maxQuoteRunes is how much of a text that others wrote is shown.
	maxQuoteRunes = 500
)

// A selection is the steps that have a row of their own, by their index; nil for all.
type selection map[int]bool

// has reports whether the step at an index has a row.
func (s selection) has(index int) bool { return s == nil || s[index] }

// selectSteps picks the steps that have a row: those that the problems name, then the first ones
// that did not pass. Steps that were not run have nothing to tell.
func selectSteps(steps []record.StepResult, problems []*problem) selection {
	if len(steps) <= maxRows {
		return nil
	}
	chosen := selection{}
	add := func(s record.StepResult) {
		if len(chosen) < maxRows && s.Outcome != record.Passed && s.Outcome != record.NotRun {
			chosen[s.Index] = true
		}
	}
	for _, p := range problems {
		for _, named := range p.Indexes {
			add(steps[named.Index-1])
		}
	}
	for _, s := range steps {
		add(s)
	}
	return chosen
}

// Long reports whether the page has rows for stretches.
func (v view) Long() bool { return v.selected != nil }

// Shown reports whether the step at an index has a row of its own.
func (v view) Shown(index int) bool { return v.selected.has(index) }

// stretchSteps is how many steps a stretch has: a round number.
func (v view) stretchSteps() int {
	steps := (len(v.Run.Steps) + maxStretches - 1) / maxStretches
	return max((steps+99)/100*100, groupSteps)
}

// LongIntro says what the tables of a long procedure have.
func (v view) LongIntro() string {
	return fmt.Sprintf(v.Words.LongIntro, len(v.Run.Steps), v.stretchSteps())
}

// A stretch is some neighbouring steps in one row.
type stretch struct {
	First, Last, Passed, Rest int
	Class                     string
	// Fates are the outcomes of those that did not pass, with their numbers.
	Fates string
	// Row is the first of them that has a row of its own; 0 for none.
	Row int
	// Median and Longest are response times; Replied is how many there are.
	Replied         int
	Median, Longest time.Duration
}

// Stretches are all steps of a long procedure.
func (v view) Stretches() []stretch {
	var all []stretch
	for part := range slices.Chunk(v.Run.Steps, v.stretchSteps()) {
		all = append(all, v.stretch(part))
	}
	return all
}

func (v view) stretch(steps []record.StepResult) stretch {
	st := stretch{First: steps[0].Index, Last: steps[len(steps)-1].Index, Class: "p"}
	counts := record.Counts{}
	var took []time.Duration
	for _, s := range steps {
		counts[s.Outcome]++
		if report.Replied(s.Outcome) {
			took = append(took, s.Took)
		}
		if s.Outcome != record.Passed && st.Rest == 0 {
			st.Class = class(s.Outcome)
		}
		if s.Outcome != record.Passed {
			st.Rest++
		}
		if st.Row == 0 && v.Shown(s.Index) {
			st.Row = s.Index
		}
	}
	st.Passed = counts[record.Passed]
	var fates []string
	for _, outcome := range record.Outcomes() {
		if n := counts[outcome]; n > 0 && outcome != record.Passed {
			fates = append(fates, fmt.Sprintf("%s %d", v.Words.Results[outcome], n))
		}
	}
	st.Fates = strings.Join(fates, ", ")
	if st.Replied = len(took); st.Replied > 0 {
		slices.Sort(took)
		st.Median, st.Longest = took[len(took)/2], took[len(took)-1]
	}
	return st
}

// chosen are the steps of a long procedure that have a row of their own.
func (v view) chosen() []record.StepResult {
	var all []record.StepResult
	for _, s := range v.Run.Steps {
		if v.selected[s.Index] {
			all = append(all, s)
		}
	}
	return all
}

// NotShown says how many steps did not pass and have no row of their own; empty for none.
func (v view) NotShown() string {
	counts := v.Run.Counts
	if n := len(v.Run.Steps) - counts[record.Passed] - counts[record.NotRun] - len(v.selected); n > 0 {
		return fmt.Sprintf(v.Words.NotShown, n)
	}
	return ""
}

// A pair is a step with the agent's view of it.
type pair struct {
	Step record.StepResult
	View report.View
}

// Pairs are the steps that have a row, with the agent's views of them.
func (v view) Pairs() []pair {
	var all []pair
	for i, w := range v.Split.Steps {
		if v.Shown(i + 1) {
			all = append(all, pair{v.Run.Steps[i], w})
		}
	}
	return all
}

// shorten makes text from elsewhere safe to show, and cuts what is too long for a page.
func (w *words) shorten(text string) string {
	clean := logging.Clean(text)
	n := 0
	for i := range clean {
		if n++; n > maxQuoteRunes {
			return clean[:i] + fmt.Sprintf(w.Shortened, len([]rune(clean)))
		}
	}
	return clean
}
