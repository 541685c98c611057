package html

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

const (
	// maxCells is how many steps a strip has with a gap after each; more are drawn without gaps.
	maxCells = 40
	// maxMarks is how many marks a strip has; of more steps, several share a mark.
	maxMarks = 100
	// cellWidth is the width of a step and the gap after it, in the units of the strip.
	cellWidth = 20
	// gapWidth is the width of a gap.
	gapWidth = 4
)

// A strip shows the steps of a run side by side, in colour and shape: low and full for a step that
// passed, tall for others. Boards of one procedure have strips of the same width, so that a step has the
// same place in each.
type strip struct {
	Width string // in CSS units
	Units int    // the width in units of the marks
	Marks []stripMark
	Title string
	Steps int // of a mark at most
}

// A stripMark is a path of a strip. Those with a title show it to a mouse.
type stripMark struct {
	htmlkit.Mark
	Title string
}

func newStrip(w *words, steps []record.StepResult) strip {
	if len(steps) == 0 {
		return strip{}
	}
	passed := 0
	for _, s := range steps {
		if s.Outcome == record.Passed {
			passed++
		}
	}
	s := strip{Title: fmt.Sprintf(w.Boards.StripTitle, len(steps), passed, len(steps)-passed), Steps: 1}
	if len(steps) <= maxCells {
		s.Width, s.Units = fmt.Sprintf("%.1fem", 0.9*float64(len(steps))), cellWidth*len(steps)
		s.Marks = cells(w, steps)
		return s
	}
	s.Steps = (len(steps) + maxMarks - 1) / maxMarks
	s.Width, s.Units = "36em", htmlkit.ChartWidth
	s.Marks = joined(steps, s.Steps)
	return s
}

// cells returns a mark for each step that did not pass, with a title, and one for all others.
func cells(w *words, steps []record.StepResult) []stripMark {
	marks := []stripMark{{Mark: htmlkit.Mark{Class: "wp"}}}
	for i, s := range steps {
		bar := stripBar(s.Outcome, i*cellWidth, (i+1)*cellWidth-gapWidth)
		if s.Outcome == record.Passed {
			marks[0].Path += bar.Path
			continue
		}
		marks = append(marks, stripMark{bar, fmt.Sprintf(w.Boards.CellTitle, s.StepID, w.Results[s.Outcome])})
	}
	if marks[0].Path == "" {
		marks = marks[1:]
	}
	return marks
}

// joined returns a mark for each class of outcomes. Each bar of it stands for as many steps as per says,
// and shows the worst of them; bars of one class that touch are one.
func joined(steps []record.StepResult, per int) []stripMark {
	paths := map[string]*strings.Builder{}
	at := func(i int) int { return i * htmlkit.ChartWidth / len(steps) }
	for from := 0; from < len(steps); {
		outcome, to := worst(steps, from, per), from
		for to < len(steps) && worst(steps, to, per) == outcome {
			to = min(to+per, len(steps))
		}
		bar := stripBar(outcome, at(from), at(to))
		if paths[bar.Class] == nil {
			paths[bar.Class] = &strings.Builder{}
		}
		paths[bar.Class].WriteString(bar.Path)
		from = to
	}
	var marks []stripMark
	for _, class := range stripClasses {
		if path := paths[class]; path != nil {
			marks = append(marks, stripMark{Mark: htmlkit.Mark{Class: class, Path: path.String()}})
		}
	}
	return marks
}

// stripClasses are the classes of marks in the order in which they are drawn.
var stripClasses = []string{"wp", "wn", "wt", "wb", "wf"}

// severity has the outcomes from the mildest to the worst.
var severity = []record.Outcome{
	record.Passed, record.NotRun, record.Unanswered, record.TimedOut, record.Unreachable, record.ConnectionLost,
	record.WrongReply, record.Failed,
}

// worst returns the worst outcome of up to per steps.
func worst(steps []record.StepResult, from, per int) record.Outcome {
	rank := 0
	for _, s := range steps[from:min(from+per, len(steps))] {
		rank = max(rank, slices.Index(severity, s.Outcome))
	}
	return severity[rank]
}

// stripBar returns the bar of an outcome.
func stripBar(outcome record.Outcome, from, to int) htmlkit.Mark {
	class, _ := htmlkit.Look(outcome)
	top := 2
	if outcome == record.Passed {
		top = 9
	}
	return htmlkit.Mark{Class: "w" + class, Path: htmlkit.Bar(from, to, top, 18)}
}

// stripLegend returns a sample of each class, with the results that it stands for.
func stripLegend(w *words) []sample {
	var samples []sample
	for _, outcomes := range [][]record.Outcome{
		{record.Passed}, {record.Failed}, {record.TimedOut},
		{record.ConnectionLost, record.WrongReply, record.Unreachable}, {record.NotRun, record.Unanswered},
	} {
		var names []string
		for _, outcome := range outcomes {
			names = append(names, w.Results[outcome])
		}
		samples = append(samples, sample{stripBar(outcomes[0], 12, 28), strings.Join(names, ", ")})
	}
	return samples
}
