package statistics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A world makes response times as agents do: each step has its own typical time and noise to one side,
// and each run is a little slower or faster as a whole.
type world struct {
	random *rand.Rand
	steps  int
	noise  float64 // standard deviation of the logarithm
	drift  float64 // that of whole runs
	tick   float64 // resolution of the clock, in seconds; 0 for the best
}

// runs returns the times by step, of n runs that take factor times as long.
func (w world) runs(n int, factor float64) [][]float64 {
	times := make([][]float64, w.steps)
	for range n {
		run := factor * math.Exp(w.random.NormFloat64()*w.drift)
		for step := range times {
			took := run * 0.004 * float64(step+1) * math.Exp(math.Abs(w.random.NormFloat64())*w.noise)
			if w.random.IntN(50) == 0 {
				took *= 1.5 // such as a retransmission
			}
			if w.tick > 0 {
				took = math.Round(took/w.tick) * w.tick
			}
			times[step] = append(times[step], took)
		}
	}
	return times
}

func families(before, after [][]float64) []Comparison {
	family := make([]Comparison, len(before))
	for i := range before {
		family[i] = Sets(before[i], after[i])
	}
	return family
}

// firsts returns the first run alone, as values by step.
func firsts(times [][]float64) []float64 {
	var run []float64
	for _, step := range times {
		run = append(run, step[0])
	}
	return run
}

// said reports whether any change has one of the words.
func said(changes []Change, words ...Word) bool {
	for _, c := range changes {
		for _, word := range words {
			if c.Word == word {
				return true
			}
		}
	}
	return false
}

// share returns how often of n times something holds.
func share(n int, holds func() bool) float64 {
	count := 0
	for range n {
		if holds() {
			count++
		}
	}
	return float64(count) / float64(n)
}

const rounds = 1000

// most is the share that a rate of alpha exceeds by chance in one of ten thousand simulations.
func most(alpha float64) float64 { return alpha + 3.72*math.Sqrt(alpha*(1-alpha)/rounds) }

// Nothing has changed: at most the stated share of comparisons says that something did, of all steps
// together, and also with a threshold of 0, equal values and sets of different sizes.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	for seed, c := range []struct {
		world         world
		before, after int
	}{
		{world{steps: 1, noise: 0.03}, 10, 10},
		{world{steps: 12, noise: 0.03}, 10, 10},
		{world{steps: 12, noise: 0.2, drift: 0.05}, 8, 12},
		{world{steps: 5, noise: 0.05, tick: 0.001}, 15, 15},
		{world{steps: 30, noise: 0.01}, 5, 9},
		{world{steps: 3, noise: 0.1}, 40, 40},
	} {
		w := c.world
		w.random = rand.New(rand.NewPCG(15, uint64(seed)))
		got := share(rounds, func() bool {
			return said(Judge(families(w.runs(c.before, 1), w.runs(c.after, 1)), classic), Slower, Faster)
		})
		t.Logf("%d steps, %d and %d runs: %.4f", w.steps, c.before, c.after, got)
		if got > most(classic.Alpha) {
			t.Errorf("%+v: %.3f of the comparisons were false alarms", c, got)
		}
	}
}

// Two runs of the same agent, compared by their steps.
func TestFalseAlarmsOfPairs(t *testing.T) {
	t.Parallel()
	for seed, steps := range []int{6, 10, 25, 100} {
		w := world{random: rand.New(rand.NewPCG(16, uint64(seed))), steps: steps, noise: 0.05}
		got := share(rounds, func() bool {
			return said([]Change{Overall(Pairs(firsts(w.runs(1, 1)), firsts(w.runs(1, 1))), classic)}, Slower, Faster)
		})
		t.Logf("%d steps: %.4f", steps, got)
		if got > most(classic.Alpha) {
			t.Errorf("%d steps: %.3f of the comparisons were false alarms", steps, got)
		}
	}
}

// A change below the threshold is not told, however many runs there are.
func TestThreshold(t *testing.T) {
	t.Parallel()
	w := world{random: rand.New(rand.NewPCG(17, 0)), steps: 4, noise: 0.01}
	got := share(300, func() bool {
		return said(Judge(families(w.runs(100, 1), w.runs(100, 1.01)), Defaults), Slower, Faster)
	})
	if got > 0.1 {
		t.Errorf("%.3f of the comparisons told a change of the threshold", got)
	}
}

// A change of 5 % is told: these are the shares that the documentation states.
func TestPower(t *testing.T) {
	t.Parallel()
	for seed, c := range []struct {
		steps, runs int
		noise       float64
		least       float64
	}{
		{steps: 1, runs: 5, noise: 0.02, least: 0.8},
		{steps: 10, runs: 10, noise: 0.02, least: 0.95},
		{steps: 10, runs: 20, noise: 0.05, least: 0.5},
		{steps: 10, runs: 40, noise: 0.05, least: 0.95},
	} {
		w := world{random: rand.New(rand.NewPCG(18, uint64(seed))), steps: c.steps, noise: c.noise}
		slower, faster := 0, 0
		for range 300 {
			for _, change := range Judge(families(w.runs(c.runs, 1), w.runs(c.runs, 1.05)), Defaults) {
				switch change.Word {
				case Slower:
					slower++
				case Faster:
					faster++
				}
			}
		}
		got := float64(slower) / float64(300*c.steps)
		t.Logf("%+v: %.3f", c, got)
		if got < c.least || faster > 0 {
			t.Errorf("%+v: %.3f of the steps were found slower, and %d faster", c, got, faster)
		}
	}
}

// Two runs of which one is 5 % slower at each step are told apart by their steps.
func TestPowerOfPairs(t *testing.T) {
	t.Parallel()
	for seed, c := range []struct {
		steps        int
		noise, least float64
	}{
		{steps: 10, noise: 0.02, least: 0.75},
		{steps: 25, noise: 0.02, least: 0.99},
		{steps: 100, noise: 0.05, least: 0.9},
	} {
		w := world{random: rand.New(rand.NewPCG(19, uint64(seed))), steps: c.steps, noise: c.noise}
		covered := 0
		got := share(rounds, func() bool {
			change := Overall(Pairs(firsts(w.runs(1, 1)), firsts(w.runs(1, 1.05))), Defaults)
			if change.Low <= 1.05 && 1.05 <= change.High {
				covered++
			}
			return change.Word == Slower
		})
		coverage := float64(covered) / rounds
		t.Logf("%+v: %.3f, covered %.3f", c, got, coverage)
		if got < c.least || 1-coverage > most(Defaults.Alpha) {
			t.Errorf("%+v: %.3f were found slower, and the interval contained the truth in %.3f", c, got, coverage)
		}
	}
}
