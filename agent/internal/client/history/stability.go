package history

import (
	"cmp"
	"math"
	"slices"
)

// A Course says how the outcome of a step went from run to run.
type Course string

// The courses.
const (
	// Passing, Failing: the step passed in all runs, or in none.
	Passing Course = "passing"
	Failing Course = "failing"
	// FailingSince, PassingSince: the outcome changed once, so something else has changed too.
	FailingSince Course = "failing since"
	PassingSince Course = "passing since"
	// Flaky: the outcome changed more than once, with the same content of the procedure.
	Flaky Course = "flaky"
	// Unknown: no run decided the step.
	Unknown Course = "undecided"
)

// A Stability says how steady the outcome of a step is.
type Stability struct {
	Course Course `json:"course"`
	// Changes is how often the outcome changed between passed and not passed, from one run that decided
	// the step to the next.
	Changes int `json:"changes"`
	// Since is the id of the run that changed it last; empty for none.
	Since string `json:"since,omitzero"`
}

// stabilityOf follows the outcomes of points, the oldest first.
func stabilityOf(points []Point) Stability {
	s := Stability{Course: Unknown}
	last := false
	for _, p := range points {
		passed, known := p.passed()
		if !known {
			continue
		}
		if s.Course != Unknown && passed != last {
			s.Changes++
			s.Since = p.Run
		}
		s.Course, last = Passing, passed
	}
	switch {
	case s.Course == Unknown:
	case s.Changes > 1:
		s.Course = Flaky
	case s.Changes == 1 && last:
		s.Course = PassingSince
	case s.Changes == 1:
		s.Course = FailingSince
	case !last:
		s.Course = Failing
	}
	return s
}

// changePoint returns the run at which the times most likely changed their level: the first run after the
// split at which the ranks of the two parts differ most. It is empty if the difference is not
// significant at the level alpha (Pettitt, Applied Statistics 28, 1979).
func changePoint(points []Point, alpha float64) string {
	points = slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.Took == nil })
	sorted := times(points)
	slices.Sort(sorted)
	rank := func(took float64) int { // twice the mean rank of equal times
		first, _ := slices.BinarySearch(sorted, took)
		after, _ := slices.BinarySearchFunc(sorted, took, func(a, b float64) int { return cmp.Or(cmp.Compare(a, b), -1) })
		return first + after + 1
	}
	at, most, sum := "", 0, 0
	for i := range len(points) - 1 {
		sum += rank(*points[i].Took)
		if u := sum - (i+1)*(len(points)+1); max(u, -u) > most {
			at, most = points[i+1].Run, max(u, -u)
		}
	}
	n, k := float64(len(points)), float64(most)
	if 2*math.Exp(-6*k*k/(n*n*n+n*n)) > alpha {
		return ""
	}
	return at
}
