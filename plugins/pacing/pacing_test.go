package pacing_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/pacing"
	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

var _ validator.Factory = pacing.New

const ms = time.Millisecond

func newPacing(t testing.TB, settings string) validator.Validator {
	t.Helper()
	v, err := pacing.New([]byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wait(d time.Duration) validator.Wait { return validator.Wait{Duration: d, Declared: true} }

// second judges the second step of a session whose first declared the interval.
func second(t testing.TB, v validator.Validator, interval, gap validator.Wait) validator.Verdict {
	t.Helper()
	first, err := v.Validate(t.Context(), validator.Session{Steps: 10}, validator.Step{ID: 1, Interval: interval})
	if err != nil || first.Outcome != validator.Pass {
		t.Fatalf("the first step: %+v, %v", first, err)
	}
	got, err := v.Validate(t.Context(), validator.Session{Position: 1, Steps: 10, State: first.State},
		validator.Step{ID: 2, Gap: gap, Interval: wait(7)})
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Check(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	var none validator.Wait
	const forever = time.Duration(math.MaxInt64)
	tests := map[string]struct {
		settings      string
		interval, gap validator.Wait
		want          string // the detail; empty for a pass
	}{
		"kept":                   {"", wait(time.Second), wait(time.Second), ""},
		"early, within":          {"", wait(time.Second), wait(750 * ms), ""},
		"early, by 1 ns":         {"", wait(time.Second), wait(750*ms - 1), "0.25 s too early: waited 0.75 s, declared 1 s, tolerance 0.25 s"},
		"at once":                {"", wait(time.Second), wait(0), "1 s too early: waited 0 s, declared 1 s, tolerance 0.25 s"},
		"late, within":           {"", wait(time.Second), wait(1250 * ms), ""},
		"late":                   {"", wait(time.Second), wait(1400 * ms), "0.4 s too late: waited 1.4 s, declared 1 s, tolerance 0.25 s"},
		"percent counts":         {"", wait(10 * time.Second), wait(9 * time.Second), ""},
		"percent, by 1 ns":       {"", wait(10 * time.Second), wait(9*time.Second - 1), "1 s too early: waited 9 s, declared 10 s, tolerance 1 s"},
		"no interval":            {"", none, wait(time.Hour), ""},
		"no gap":                 {"", wait(time.Second), none, ""},
		"interval 0, at once":    {"", wait(0), wait(250 * ms), ""},
		"interval 0, late":       {"", wait(0), wait(time.Second), "1 s too late: waited 1 s, declared 0 s, tolerance 0.25 s"},
		"no tolerance, kept":     {`{"tolerance_seconds":0,"tolerance_percent":0}`, wait(time.Second), wait(time.Second), ""},
		"no tolerance, by 1 ns":  {`{"tolerance_seconds":0,"tolerance_percent":0}`, wait(ms), wait(ms + 1), "0.000000001 s too late: waited 0.001 s, declared 0.001 s, tolerance 0 s"},
		"early alone, late":      {`{"judge":"early"}`, wait(time.Second), wait(time.Hour), ""},
		"early alone, early":     {`{"judge":"early"}`, wait(time.Second), wait(0), "1 s too early: waited 0 s, declared 1 s, tolerance 0.25 s"},
		"late alone, early":      {`{"judge":"late"}`, wait(time.Second), wait(0), ""},
		"late alone, late":       {`{"judge":"late"}`, wait(time.Second), wait(2 * time.Second), "1 s too late: waited 2 s, declared 1 s, tolerance 0.25 s"},
		"for ever, at once":      {"", wait(forever), wait(0), "9223372036.854775807 s too early: waited 0 s, declared 9223372036.854775807 s, tolerance 922337203.685 s"},
		"for ever, much percent": {`{"tolerance_percent":1000}`, wait(forever), wait(0), ""},
		"for ever late":          {"", wait(0), wait(forever), "9223372036.854775807 s too late: waited 9223372036.854775807 s, declared 0 s, tolerance 0.25 s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := second(t, newPacing(t, test.settings), test.interval, test.gap)
			if got.Detail != test.want || (got.Outcome == validator.Fail) != (test.want != "") {
				t.Errorf("got %v, %s, want %s", got.Outcome, got.Detail, test.want)
			}
			if got.Outcome == validator.Fail && got.Reason != validator.IntervalNotKept {
				t.Errorf("reason %s", got.Reason)
			}
			if len(got.State) == 0 {
				t.Error("the interval that the second step declared is not kept")
			}
		})
	}
}

func TestBadState(t *testing.T) {
	t.Parallel()
	v := newPacing(t, "")
	for _, state := range []string{"\x01", "\x02\x00\x00\x00\x00\x00\x00\x00\x01", "\x01\xff\x00\x00\x00\x00\x00\x00\x01", "\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00"} {
		got, err := v.Validate(t.Context(), validator.Session{Position: 1, Steps: 10, State: []byte(state)}, validator.Step{ID: 2, Gap: wait(1)})
		if err == nil || got.Outcome != validator.Undecided {
			t.Errorf("%q: got %+v and error %v, want undecided", state, got, err)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`{"tolerance_seconds":-0.1}`:          "tolerance_seconds: want 0 to 86400, got -0.1",
		`{"tolerance_seconds":86401}`:         "tolerance_seconds: want 0 to 86400, got 86401",
		`{"tolerance_percent":1e300}`:         "tolerance_percent: want 0 to 1000, got 1e+300",
		`{"tolerance_percent":"10%"}`:         "tolerance_percent: want a number, got a string",
		`{"tolerance":1}`:                     "tolerance: unknown key; the keys here are judge, tolerance_percent, tolerance_seconds",
		`{"judge":"hurry"}`:                   `judge: want "both", "early" or "late", got "hurry"`,
		`{"judge":"","tolerance_percent":-1}`: "tolerance_percent: want 0 to 1000, got -1\n" + `judge: want "both", "early" or "late", got ""`,
		`{"tolerance_seconds":1} {}`:          "want one table, got more",
	}
	for settings, want := range tests {
		v, err := pacing.New([]byte(settings))
		if err == nil || v != nil || err.Error() != want {
			t.Errorf("%s: got %v and error %v, want %q", settings, v, err, want)
		}
		if _, ok := errors.AsType[*validator.SettingError](err); !ok {
			t.Errorf("%s: error is a %T, want a *SettingError", settings, err)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	for _, settings := range []string{"", `{"judge":"early"}`, `{"judge":"late"}`} {
		got, declared := validator.Declared(newPacing(t, settings))
		if want := validator.InputInterval | validator.InputGap; !declared || got != want {
			t.Errorf("%s: reads %s, want %s", settings, got, want)
		}
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	for _, settings := range []string{"", `{"tolerance_seconds":0,"tolerance_percent":0}`, `{"tolerance_percent":1000,"judge":"early"}`} {
		validatortest.Check(t, func() validator.Validator { return newPacing(t, settings) }, validatortest.Options{})
	}
}
