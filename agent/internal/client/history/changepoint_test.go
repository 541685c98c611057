package history

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func series(random *rand.Rand, before, after int, factor float64) []Point {
	points := make([]Point, before+after)
	for i := range points {
		took := 1 + 0.02*random.NormFloat64()
		if i >= before {
			took *= factor
		}
		points[i] = Point{Run: fmt.Sprint(i), Took: &took}
	}
	return points
}

// Without a change, at most the stated share of series has one; with a change, it is found at the right
// run or near it.
func TestChangePoint(t *testing.T) {
	t.Parallel()
	const rounds = 2000
	random := rand.New(rand.NewPCG(20, 0))
	for _, n := range []int{0, 1, 2, 10, 40, 100} {
		alarms := 0
		for range rounds {
			if changePoint(series(random, n, 0, 1), 0.05) != "" {
				alarms++
			}
		}
		t.Logf("%d runs: %d of %d", n, alarms, rounds)
		if alarms > rounds*65/1000 {
			t.Errorf("%d runs: %d of %d series had a change", n, alarms, rounds)
		}
	}
	near := 0
	for range rounds {
		var at int
		if _, err := fmt.Sscan(changePoint(series(random, 30, 10, 1.05), 0.05), &at); err == nil && at >= 28 && at <= 32 {
			near++
		}
	}
	t.Logf("found near its run: %d of %d", near, rounds)
	if near < rounds*3/4 {
		t.Errorf("only %d of %d changes were found near their run", near, rounds)
	}
	same := make([]Point, 20)
	for i := range same {
		took := 0.1
		same[i] = Point{Run: fmt.Sprint(i), Took: &took}
	}
	if at := changePoint(same, 0.05); at != "" {
		t.Errorf("equal times changed at %s", at)
	}
}

func TestStability(t *testing.T) {
	t.Parallel()
	for outcomes, want := range map[string]Stability{
		"": {Course: Unknown}, "pppp": {Course: Passing}, "fft": {Course: Failing}, "--": {Course: Unknown},
		"pp-ff": {Course: FailingSince, Changes: 1, Since: "3"}, "fpp": {Course: PassingSince, Changes: 1, Since: "1"},
		"pfp": {Course: Flaky, Changes: 2, Since: "2"}, "p-t-p-f": {Course: Flaky, Changes: 3, Since: "6"},
	} {
		var points []Point
		for i, o := range outcomes {
			outcome := map[rune]string{'p': "passed", 'f': "failed", 't': "timed_out", '-': "not_run"}[o]
			points = append(points, Point{Run: fmt.Sprint(i), Outcome: outcome})
		}
		if got := stabilityOf(points); got != want {
			t.Errorf("%s: %+v, want %+v", outcomes, got, want)
		}
	}
}
