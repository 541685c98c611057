package html

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// of returns steps with the outcomes.
func of(outcomes ...record.Outcome) (steps []record.StepResult) {
	for i, outcome := range outcomes {
		steps = append(steps, record.StepResult{Index: i + 1, Step: record.Step{StepID: int64(i + 1)}, Outcome: outcome})
	}
	return steps
}

func TestStripOfFewSteps(t *testing.T) {
	got := newStrip(english(), of(record.Passed, record.Failed, record.Passed, record.TimedOut, record.NotRun))
	want := strip{
		Width: "4.5em", Units: 100, Title: "5 steps: 2 passed, 3 did not", Steps: 1,
		Marks: []stripMark{
			{Mark: htmlkit.Mark{Class: "wp", Path: "M0 9H16V18H0ZM40 9H56V18H40Z"}},
			{htmlkit.Mark{Class: "wf", Path: "M20 2H36V18H20Z"}, "Step 2: refused"},
			{htmlkit.Mark{Class: "wt", Path: "M60 2H76V18H60Z"}, "Step 4: timed out"},
			{htmlkit.Mark{Class: "wn", Path: "M80 2H96V18H80Z"}, "Step 5: not run"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := newStrip(english(), nil); got.Units != 0 {
		t.Errorf("no steps have the strip %+v", got)
	}
	if got := newStrip(english(), of(record.Failed)).Marks; len(got) != 1 {
		t.Errorf("one step has the marks %+v", got)
	}
}

// The strip of many steps has bars of neighbouring steps, each with the worst of its outcomes.
func TestStripOfManySteps(t *testing.T) {
	steps := func(n int, other map[int]record.Outcome) []record.StepResult {
		all := of(make([]record.Outcome, n)...)
		for i := range all {
			all[i].Outcome = record.Passed
			if outcome, ok := other[i]; ok {
				all[i].Outcome = outcome
			}
		}
		return all
	}
	for _, test := range []struct {
		steps []record.StepResult
		per   int
		want  string
	}{
		{steps(100, nil), 1, "wp M0 9H1000V18H0Z"},
		{steps(50, map[int]record.Outcome{0: record.Failed, 49: record.TimedOut}), 1, "wp M20 9H980V18H20Z, wt M980 2H1000V18H980Z, wf M0 2H20V18H0Z"},
		{steps(10000, map[int]record.Outcome{100: record.TimedOut, 199: record.Failed, 250: record.TimedOut}), 100,
			"wp M0 9H10V18H0ZM30 9H1000V18H30Z, wt M20 2H30V18H20Z, wf M10 2H20V18H10Z"},
		{steps(101, map[int]record.Outcome{100: record.WrongReply}), 2, "wp M0 9H990V18H0Z, wb M990 2H1000V18H990Z"},
	} {
		got := newStrip(english(), test.steps)
		var marks []string
		for _, m := range got.Marks {
			marks = append(marks, m.Class+" "+m.Path)
		}
		if text := strings.Join(marks, ", "); text != test.want || got.Steps != test.per {
			t.Errorf("%d steps: got %s with %d steps a mark, want %s with %d", len(test.steps), text, got.Steps, test.want, test.per)
		}
	}
}

// Every outcome has a place in the order of severity.
func TestSeverity(t *testing.T) {
	for _, outcome := range record.Outcomes() {
		if got := worst(of(record.Passed, outcome, record.Passed), 0, 3); got != outcome {
			t.Errorf("%s among steps that passed is shown as %s", outcome, got)
		}
	}
	if len(stripLegend(english())) != len(stripClasses) {
		t.Error("the legend lacks a class of marks")
	}
}
