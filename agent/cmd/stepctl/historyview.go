package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// writeLines writes the lines that are not empty, wrapped at a terminal and safe to print.
func writeLines(to io.Writer, lines ...string) error {
	style := styleOf(to)
	for _, line := range lines {
		if line == "" {
			continue
		}
		if _, err := fmt.Fprintln(to, style.Wrap(logging.Clean(line))); err != nil {
			return err
		}
	}
	return nil
}

// join joins the texts that are not empty.
func join(separator string, texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), separator)
}

// headingOf says which runs are compared, and what limits the comparison.
func headingOf(c *history.Comparison) []string {
	lines := []string{"after:  " + groupOf(c.After), "before: " + groupOf(c.Before)}
	return append(lines, notesOf(c)...)
}

func notesOf(c *history.Comparison) (lines []string) {
	for _, note := range c.Notes {
		lines = append(lines, "note:   "+note)
	}
	return lines
}

func groupOf(g history.Group) string {
	return join(", ", fmt.Sprintf("%s: %s of %s", g.Name, phrase.Count(len(g.Runs), "run"), named(g.Procedures)),
		phrase.After("board ", named(g.Boards)), named(g.Agents))
}

// named lists different names; a few of them if there are many.
func named(names []string) string {
	const most = 3
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return phrase.List(names)
}

func stepsAre(steps []string) string {
	if len(steps) == 1 {
		return "step " + steps[0] + " is"
	}
	return "steps " + named(steps) + " are"
}

func percent(share float64) string { return fmt.Sprintf("%.4g %%", 100*share) }

// ratioOf returns a ratio with its interval; empty without one.
func ratioOf(c statistics.Change) string {
	if !c.Known() {
		return ""
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", c.Ratio, c.Low, c.High)
}

// wholeSentence says whether the runs as a whole have changed, and what that rests on.
func wholeSentence(c *history.Comparison) string {
	before, after := len(c.Before.Runs), len(c.After.Runs)
	basis := fmt.Sprintf("from %s before and %d after", phrase.Count(c.Whole.Before, "run"), c.Whole.After)
	need := fmt.Sprintf("at least %d on each side are needed", c.Whole.Needed)
	switch c.By {
	case history.ByThroughput:
		basis = "by throughput, " + basis
	case history.BySteps:
		basis = fmt.Sprintf("from the %s that %s before and %d after have in common, so it holds for these runs",
			phrase.Count(c.Whole.Before, "step"), phrase.Count(before, "run"), after)
		need = fmt.Sprintf("at least %d steps with replies on both sides are needed, or more runs", cmp.Or(c.Whole.Needed, 6))
	}
	if !c.Whole.Known() {
		return fmt.Sprintf("too few runs to compare as a whole, %s; %s", basis, need)
	}
	return fmt.Sprintf("%s as a whole: ratio %s at %s, %s", c.Whole.Word, ratioOf(c.Whole), percent(c.Whole.Confidence), basis)
}

// stepsSentence counts the words of the steps.
func stepsSentence(c *history.Comparison) string {
	counts, needed := map[statistics.Word]int{}, 0
	for _, s := range c.Steps {
		counts[s.Change.Word]++
		needed = max(needed, s.Change.Needed)
	}
	var parts []string
	for _, word := range []statistics.Word{statistics.Slower, statistics.Faster, statistics.NoDifference, statistics.TooFew} {
		if counts[word] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[word], word))
		}
	}
	if len(parts) == 0 {
		return "the two sides have no step in common"
	}
	sentence := phrase.Count(len(c.Steps), "step") + ": " + strings.Join(parts, ", ")
	if needed > 0 {
		sentence += fmt.Sprintf("; to tell a difference for each step, at least %s on each side are needed", phrase.Count(needed, "run"))
	}
	if counts[statistics.TooFew] < len(c.Steps) {
		sentence += fmt.Sprintf("; intervals of the steps at %s, changes from %s", percent(c.Confidence()), percent(c.Options.Threshold))
	}
	return sentence
}

// stepTable are the columns of a comparison for people.
func stepTable(c *history.Comparison) []column[history.Step] {
	word := "step"
	if c.By == history.ByThroughput {
		word = "measure"
	}
	return []column[history.Step]{
		{name: word, text: func(s history.Step) string { return s.Key.String() }},
		{name: "before", text: func(s history.Step) string { return timesOf(s.Before) }},
		{name: "after", text: func(s history.Step) string { return timesOf(s.After) }},
		{name: "ratio", text: func(s history.Step) string { return ratioOf(s.Change) }},
		{name: "change", text: func(s history.Step) string { return string(s.Change.Word) }},
		{name: "not_passed_before", text: func(s history.Step) string { return notPassedOf(s.Before) }},
		{name: "not_passed_after", text: func(s history.Step) string { return notPassedOf(s.After) }},
	}
}

// timesOf returns the median of the replies in time, their spread and number.
func timesOf(s history.Side) string {
	switch t := s.Times; t.N {
	case 0:
		return ""
	case 1:
		return spanOf(t.Median) + " (1)"
	default:
		return fmt.Sprintf("%s ±%s (%d)", spanOf(t.Median), spanOf(t.Spread()/2), t.N)
	}
}

// notPassedOf says how many runs did not pass the step, and why; empty for none.
func notPassedOf(s history.Side) string {
	notPassed, decided := s.NotPassed()
	if notPassed == 0 {
		return ""
	}
	var why []string
	for _, outcome := range slices.Sorted(maps.Keys(s.Outcomes)) {
		if n, _ := (history.Side{Outcomes: map[string]int{outcome: 1}}).NotPassed(); n > 0 {
			why = append(why, outcome)
		}
	}
	return fmt.Sprintf("%d of %d %s", notPassed, decided, strings.Join(why, ", "))
}

// stepColumns are the columns of a comparison for programs. Times are in seconds.
func stepColumns() []column[history.Step] {
	columns := []column[history.Step]{
		{name: "step_id", value: func(s history.Step) any { return orNone(s.StepID) }},
		{name: "nth", value: func(s history.Step) any { return orNone(int64(s.Nth)) }},
		{name: "measure", value: func(s history.Step) any { return s.Measure }},
		{name: "change", value: func(s history.Step) any { return string(s.Change.Word) }},
		{name: "ratio", value: func(s history.Step) any { return known(s.Change, s.Change.Ratio) }},
		{name: "low", value: func(s history.Step) any { return known(s.Change, s.Change.Low) }},
		{name: "high", value: func(s history.Step) any { return known(s.Change, s.Change.High) }},
		{name: "confidence", value: func(s history.Step) any { return s.Change.Confidence }},
	}
	columns = append(columns, sideColumns("before", func(s history.Step) history.Side { return s.Before })...)
	return append(columns, sideColumns("after", func(s history.Step) history.Side { return s.After })...)
}

// sideColumns are the columns of one side.
func sideColumns[T any](name string, of func(T) history.Side) []column[T] {
	number := func(what string, value func(statistics.Summary) float64) column[T] {
		return column[T]{name: what + "_" + name, value: func(row T) any {
			if of(row).Times.N == 0 {
				return nil
			}
			return value(of(row).Times)
		}}
	}
	return []column[T]{
		{name: "replies_" + name, value: func(row T) any { return of(row).Times.N }},
		number("median", func(s statistics.Summary) float64 { return s.Median }),
		number("lower_quartile", func(s statistics.Summary) float64 { return s.Lower }),
		number("upper_quartile", func(s statistics.Summary) float64 { return s.Upper }),
		{name: "not_passed_" + name, value: func(row T) any { n, _ := of(row).NotPassed(); return n }},
		{name: "decided_" + name, value: func(row T) any { _, n := of(row).NotPassed(); return n }},
	}
}

func known(c statistics.Change, value float64) any {
	if !c.Known() {
		return nil
	}
	return value
}
