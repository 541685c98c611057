// Package history answers what stored runs say together: whether a procedure got slower, since when and
// at which step, and which steps do not always have the same outcome.
//
// Select names runs, Compare compares two selections, and ReadTrend follows a procedure through its
// runs. Only a reply in time has a duration; other outcomes are counted. What is said about durations
// comes from package statistics. The package writes no text but the notes of a result.
package history

import (
	"fmt"
	"math"

	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A Key says what makes two steps, of two runs, the same: id, timeout and interval, and, if a
// procedure has such a step several times, the how manyth it is. A measure of a load test has a name
// instead.
type Key struct {
	StepID int64 `json:"step_id,omitzero"`
	// Timeout and Interval are in seconds, as declared.
	Timeout  float64 `json:"timeout,omitzero"`
	Interval float64 `json:"interval,omitzero"`
	// Nth is 1 for the first such step.
	Nth int `json:"nth,omitzero"`
	// Measure is the name of a measure; empty for a step.
	Measure string `json:"measure,omitzero"`
}

// String returns the step's id, with its number if there are several, or the name of the measure.
func (k Key) String() string {
	switch {
	case k.Measure != "":
		return k.Measure
	case k.Nth > 1:
		return fmt.Sprintf("%d (%d)", k.StepID, k.Nth)
	}
	return fmt.Sprint(k.StepID)
}

// A Point is what one run has at one step.
type Point struct {
	// Run is the id of the run.
	Run string `json:"run"`
	// Outcome is that of the step, in the words of the record; empty for a measure.
	Outcome string `json:"outcome,omitzero"`
	// Took is the time until the reply, in seconds; nil without a reply in time.
	Took *float64 `json:"took,omitzero"`
}

// passed reports whether the step passed, and known whether its outcome was decided.
func (p Point) passed() (passed, known bool) {
	switch p.Outcome {
	case "", record.NotRun.String(), record.Unanswered.String():
		return false, false
	}
	return p.Outcome == record.Passed.String(), true
}

// A Side describes a step in a set of runs.
type Side struct {
	// Times describes the replies in time, in seconds.
	Times statistics.Summary `json:"times"`
	// Outcomes has how many runs had each outcome at the step. Runs that lack the step are in none.
	Outcomes map[string]int `json:"outcomes,omitzero"`
}

// NotPassed returns how many runs had the step and did not pass it, and how many decided it.
func (s Side) NotPassed() (notPassed, decided int) {
	for outcome, n := range s.Outcomes {
		if passed, known := (Point{Outcome: outcome}).passed(); known {
			decided += n
			if !passed {
				notPassed += n
			}
		}
	}
	return notPassed, decided
}

// side describes points.
func side(points []Point) Side {
	s := Side{Times: statistics.Summarize(times(points))}
	for _, p := range points {
		if p.Outcome == "" {
			continue
		}
		if s.Outcomes == nil {
			s.Outcomes = map[string]int{}
		}
		s.Outcomes[p.Outcome]++
	}
	return s
}

// times returns the durations of points that have one.
func times(points []Point) []float64 {
	var times []float64
	for _, p := range points {
		if p.Took != nil && *p.Took >= 0 && !math.IsInf(*p.Took, 0) {
			times = append(times, *p.Took)
		}
	}
	return times
}
