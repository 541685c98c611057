package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
)

// simulated returns n runs of a procedure, each step with skewed noise of its own, and each run as a whole
// with a drift.
func simulated(random *rand.Rand, name string, n, steps int, factor, noise, drift float64) (Selection, *table) {
	s, t := Selection{Name: name}, &table{points: map[Key][]Point{}}
	for step := range steps {
		t.keys = append(t.keys, Key{StepID: int64(step + 1), Nth: 1})
	}
	for i := range n {
		run := database.Run{ID: fmt.Sprintf("%s-%03d", name, i), Kind: database.KindRun, Procedure: "p"}
		s.Runs = append(s.Runs, run)
		level := factor * math.Exp(drift*random.NormFloat64())
		for step, key := range t.keys {
			took := 0.01 * float64(step+1) * level * math.Exp(noise*math.Abs(random.NormFloat64()))
			t.points[key] = append(t.points[key], Point{Run: run.ID, Outcome: "passed", Took: &took})
		}
	}
	return s, t
}

// The runs as a whole: at most the stated share of comparisons is a false alarm, by runs with a drift
// between them and by steps without; and a change of 5 % is told.
func TestWhole(t *testing.T) {
	t.Parallel()
	const rounds = 400
	o := statistics.Options{Alpha: 0.05}
	most := 0.05 + 3.72*math.Sqrt(0.05*0.95/rounds)
	for seed, c := range []struct {
		before, after, steps int
		noise, drift         float64
		by                   string
		power                float64 // for 5 %
	}{
		{10, 10, 12, 0.03, 0.02, ByRuns, 0.95},
		{20, 5, 40, 0.1, 0.01, ByRuns, 0.9},
		{4, 4, 3, 0.03, 0, ByRuns, 0.8},
		{1, 1, 12, 0.03, 0, BySteps, 0.6},
		{10, 1, 12, 0.03, 0, BySteps, 0.9},
		{2, 1, 40, 0.05, 0, BySteps, 0.9},
		{3, 3, 8, 0.02, 0, BySteps, 0.9},
		{7, 1, 100, 0.05, 0, BySteps, 0.99},
	} {
		random := rand.New(rand.NewPCG(21, uint64(seed)))
		told := func(factor float64, words ...statistics.Word) float64 {
			n := 0
			for range rounds {
				before, b := simulated(random, "b", c.before, c.steps, 1, c.noise, c.drift)
				after, a := simulated(random, "a", c.after, c.steps, factor, c.noise, c.drift)
				result := compare(before, after, b, a, o)
				if result.By != c.by {
					t.Fatalf("%+v: by %s", c, result.By)
				}
				for _, word := range words {
					if result.Whole.Word == word {
						n++
					}
				}
			}
			return float64(n) / rounds
		}
		alarms, power := told(1, statistics.Slower, statistics.Faster), told(1.05, statistics.Slower)
		t.Logf("%+v: false alarms %.3f, power %.3f", c, alarms, power)
		if alarms > most || power < c.power {
			t.Errorf("%+v: false alarms %.3f, power %.3f", c, alarms, power)
		}
	}
}
