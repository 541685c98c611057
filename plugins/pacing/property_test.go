package pacing_test

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/plugins/pacing"
	"github.com/stepagent/stepagent/plugins/validator"
)

// TestModel walks through sessions and compares with the rule as the README has it, in exact
// fractions.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		absolute := rapid.Int64Range(0, 3000).Draw(t, "tolerance in ms")
		percent := rapid.Int64Range(0, 1000).Draw(t, "percent")
		judge := rapid.SampledFrom([]string{"both", "early", "late"}).Draw(t, "judge")
		v, err := pacing.New(fmt.Appendf(nil, `{"tolerance_seconds":%d.%03d,"tolerance_percent":%d,"judge":%q}`,
			absolute/1000, absolute%1000, percent, judge))
		if err != nil {
			t.Fatal(err)
		}
		session := validator.Session{Steps: 100}
		var last validator.Wait
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			step := validator.Step{ID: rapid.Int64().Draw(t, "id"), Interval: someWait(t, "interval", 0)}
			if session.Position > 0 {
				step.Gap = someWait(t, "gap", last.Duration)
			}
			got, err := v.Validate(t.Context(), session, step)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Check(); err != nil {
				t.Fatal(err)
			}
			want := validator.Pass
			if last.Declared && step.Gap.Declared && outside(last.Duration, step.Gap.Duration, absolute, percent, judge) {
				want = validator.Fail
			}
			if got.Outcome != want || strings.Contains(got.Detail, "too early") && step.Gap.Duration > last.Duration {
				t.Fatalf("interval %v, gap %v: got %+v, want %v", last, step.Gap, got, want)
			}
			session.Position++
			session.State, last = got.State, step.Interval
		}
	})
}

// someWait draws a wait, absent at times, often one at the edge of what is around.
func someWait(t *rapid.T, label string, around time.Duration) validator.Wait {
	if rapid.IntRange(0, 4).Draw(t, "absent") == 0 {
		return validator.Wait{}
	}
	near := rapid.Int64Range(0, 4*int64(around)).Filter(func(n int64) bool { return n >= 0 })
	if around == 0 || around > math.MaxInt64/4 {
		near = rapid.Int64Range(0, int64(20*time.Second))
	}
	return validator.Wait{Declared: true, Duration: time.Duration(rapid.OneOf(near,
		rapid.Int64Range(0, int64(24*time.Hour)),
		rapid.SampledFrom([]int64{0, 1, int64(time.Second), int64(around)})).Draw(t, label))}
}

// outside is the rule; the relative tolerance is rounded to a nanosecond.
func outside(interval, gap time.Duration, absolute, percent int64, judge string) bool {
	if judge == "early" && gap > interval || judge == "late" && gap < interval {
		return false
	}
	relative := new(big.Rat).Mul(big.NewRat(int64(interval), 1), big.NewRat(percent, 100))
	nearest, _ := new(big.Rat).Add(relative, big.NewRat(1, 2)).Float64()
	tolerance := max(absolute*int64(time.Millisecond), int64(nearest))
	return (gap - interval).Abs() > time.Duration(tolerance)
}

func FuzzValidate(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x01"), int64(5), int64(-1))
	f.Add([]byte{}, int64(0), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, state []byte, gap, interval int64) {
		step := validator.Step{ID: 1}
		if gap >= 0 {
			step.Gap = validator.Wait{Duration: time.Duration(gap), Declared: true}
		}
		if interval >= 0 {
			step.Interval = validator.Wait{Duration: time.Duration(interval), Declared: true}
		}
		v := newPacing(t, "")
		got, err := v.Validate(t.Context(), validator.Session{Position: 1, Steps: 10, State: state}, step)
		if err != nil {
			return
		}
		if err := got.Check(); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Validate(t.Context(), validator.Session{Position: 2, Steps: 10, State: got.State}, step); err != nil {
			t.Errorf("the validator's own state: %v", err)
		}
	})
}
