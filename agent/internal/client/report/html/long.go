package html

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// Limits of a page. The page of a procedure with more than maxRows steps has a row for each
// range of neighbouring steps, and a row each for at most maxRows steps that did not pass.
const (
	maxRows   = 1000
	maxRanges = 100
)

// A selection holds the indexes of the steps that have a row of their own; nil means all.
type selection map[int]bool

func (s selection) has(index int) bool { return s == nil || s[index] }

// selectSteps selects the steps that problems name, then the first others that did not pass.
// Steps that were not run are left out.
func selectSteps(steps []record.StepResult, problems []problem) selection {
	if len(steps) <= maxRows {
		return nil
	}
	chosen := selection{}
	add := func(s *record.StepResult) {
		if len(chosen) < maxRows && s.Outcome != record.Passed && s.Outcome != record.NotRun {
			chosen[s.Index] = true
		}
	}
	for _, p := range problems {
		for _, s := range p.Steps {
			add(s)
		}
	}
	for i := range steps {
		add(&steps[i])
	}
	return chosen
}

// notShown says how many steps did not pass and have no row of their own; empty for none.
func notShown(w *words, run record.Run, shown selection) string {
	n := len(run.Steps) - run.Counts[record.Passed] - run.Counts[record.NotRun] - len(shown)
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(w.NotShown, n)
}

// rangeSteps is how many steps a range has: a multiple of 100.
func rangeSteps(steps []record.StepResult) int {
	n := (len(steps) + maxRanges - 1) / maxRanges
	return max((n+99)/100*100, groupSteps)
}

// A stepRange is one row for neighbouring steps.
type stepRange struct {
	First, Last, Passed, Rest int
	Class                     string
	// Fates are the outcomes of the steps that did not pass, with their numbers.
	Fates string
	// Row is the first step that has a row of its own; 0 for none.
	Row int
	// Median and Longest are response times; Replied is how many there are.
	Replied         int
	Median, Longest time.Duration
}

func stepRanges(w *words, steps []record.StepResult, shown selection) []stepRange {
	var all []stepRange
	for part := range slices.Chunk(steps, rangeSteps(steps)) {
		all = append(all, newStepRange(w, part, shown))
	}
	return all
}

func newStepRange(w *words, steps []record.StepResult, shown selection) stepRange {
	st := stepRange{First: steps[0].Index, Last: steps[len(steps)-1].Index, Class: "p"}
	counts := record.Counts{}
	for _, s := range steps {
		counts[s.Outcome]++
		if s.Outcome != record.Passed {
			if st.Rest == 0 {
				st.Class, _ = htmlkit.Look(s.Outcome)
			}
			st.Rest++
		}
		if st.Row == 0 && shown.has(s.Index) {
			st.Row = s.Index
		}
	}
	st.Passed = counts[record.Passed]
	var fates []string
	for _, outcome := range record.Outcomes() {
		if n := counts[outcome]; n > 0 && outcome != record.Passed {
			fates = append(fates, fmt.Sprintf("%s %d", w.Results[outcome], n))
		}
	}
	st.Fates = strings.Join(fates, ", ")
	if took := responses(steps); len(took) > 0 {
		st.Replied, st.Median, st.Longest = len(took), took[len(took)/2], took[len(took)-1]
	}
	return st
}

// responses returns the response times of steps, from the shortest to the longest.
func responses(steps []record.StepResult) []time.Duration {
	var took []time.Duration
	for _, s := range steps {
		if report.Replied(s.Outcome) {
			took = append(took, s.Took)
		}
	}
	slices.Sort(took)
	return took
}
