package mintimeout_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

var _ validator.Factory = mintimeout.New

func newMinTimeout(t testing.TB, settings string) validator.Validator {
	t.Helper()
	v, err := mintimeout.New([]byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	declared := func(d time.Duration) validator.Wait { return validator.Wait{Duration: d, Declared: true} }
	const year = 365 * 24 * time.Hour
	tests := map[string]struct {
		settings string
		timeout  validator.Wait
		want     string // the detail; empty for a pass
	}{
		"default, equal":   {"", declared(5 * time.Second), ""},
		"default, above":   {"", declared(5*time.Second + 1), ""},
		"default, below":   {"", declared(2 * time.Second), "timeout 2 s is below the minimum of 5 s"},
		"default, by 1 ns": {"", declared(5*time.Second - 1), "timeout 4.999999999 s is below the minimum of 5 s"},
		"declared 0":       {"", declared(0), "timeout 0 s is below the minimum of 5 s"},
		"not declared":     {"", validator.Wait{}, ""},
		"longest wait":     {"", declared(math.MaxInt64), ""},
		"fraction, equal":  {`{"seconds":0.1}`, declared(100 * time.Millisecond), ""},
		"fraction, below":  {`{"seconds":0.1}`, declared(10 * time.Millisecond), "timeout 0.01 s is below the minimum of 0.1 s"},
		"rounded to 1 ns":  {`{"seconds":5.0000000004}`, declared(5 * time.Second), ""},
		"0, declared 0":    {`{"seconds":0}`, declared(0), ""},
		"-0, declared 0":   {`{"seconds":-0.0}`, declared(0), ""},
		"100 years, equal": {`{"seconds":3153600000}`, declared(100 * year), ""},
		"100 years, by 1 ns": {`{"seconds":3153600000}`, declared(100*year - 1),
			"timeout 3153599999.999999999 s is below the minimum of 3153600000 s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newMinTimeout(t, test.settings).Validate(t.Context(),
				validator.Session{Steps: 10}, validator.Step{ID: 1, Timeout: test.timeout})
			want := validator.PassWith(nil)
			if test.want != "" {
				want = validator.FailWith(validator.TimeoutTooShort, test.want, nil)
			}
			if err != nil || got.Outcome != want.Outcome || got.Reason != want.Reason || got.Detail != want.Detail || got.State != nil {
				t.Errorf("got %+v and error %v, want %+v", got, err, want)
			}
		})
	}
}

// TestModel compares with whole numbers of nanoseconds, and the detail with exact fractions.
func TestModel(t *testing.T) {
	t.Parallel()
	detail := regexp.MustCompile(`^timeout ([0-9.]+) s is below the minimum of ([0-9.]+) s$`)
	rapid.Check(t, func(t *rapid.T) {
		// Within 90 days a float64 of seconds is exact to the nanosecond.
		minimum := rapid.Int64Range(0, int64(90*24*time.Hour)).Draw(t, "minimum")
		timeout := rapid.OneOf(
			rapid.Int64Range(max(0, minimum-1), minimum+1),
			rapid.Int64Range(0, math.MaxInt64),
			rapid.Int64Range(0, 2*minimum),
		).Draw(t, "timeout")

		v, err := mintimeout.New(fmt.Appendf(nil, `{"seconds":%d.%09d}`, minimum/1e9, minimum%1e9))
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Validate(t.Context(), validator.Session{Steps: 10},
			validator.Step{Timeout: validator.Wait{Duration: time.Duration(timeout), Declared: true}})
		if err != nil {
			t.Fatal(err)
		}
		if passed := got.Outcome == validator.Pass; passed != (timeout >= minimum) {
			t.Fatalf("got %+v", got)
		}
		if got.Outcome == validator.Pass {
			return
		}
		numbers := detail.FindStringSubmatch(got.Detail)
		if numbers == nil {
			t.Fatalf("detail %q", got.Detail)
		}
		for i, want := range []int64{timeout, minimum} {
			said, _ := new(big.Rat).SetString(numbers[1+i])
			if said == nil || said.Cmp(big.NewRat(want, 1e9)) != 0 {
				t.Errorf("detail %q does not say %d ns", got.Detail, want)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`{"seconds":-0.001}`:     "seconds: want 0 to 3153600000, got -0.001",
		`{"seconds":3153600001}`: "seconds: want 0 to 3153600000, got 3.153600001e+09",
		`{"seconds":1e308}`:      "seconds: want 0 to 3153600000, got 1e+308",
		`{"seconds":1e309}`:      "seconds: want a number of at most 64 bits, got 1e309",
		`{"seconds":"5s"}`:       "seconds: want a number, got a string",
		`{"second":5}`:           "second: unknown key; the keys here are seconds",
	}
	for settings, want := range tests {
		v, err := mintimeout.New([]byte(settings))
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
	got, declared := validator.Declared(newMinTimeout(t, ""))
	if want := validator.InputTimeout; !declared || got != want {
		t.Errorf("reads %s, want %s", got, want)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	for _, settings := range []string{"", `{"seconds":0}`, `{"seconds":3153600000}`} {
		validatortest.Check(t, func() validator.Validator { return newMinTimeout(t, settings) }, validatortest.Options{})
	}
}

func FuzzNew(f *testing.F) {
	for _, seed := range []string{"", `{"seconds":5}`, `{"seconds":-1}`, `{"seconds":1e300}`, `{"seconds":null}`} {
		f.Add([]byte(seed), int64(time.Second))
	}
	f.Fuzz(func(t *testing.T, settings []byte, timeout int64) {
		v, err := mintimeout.New(settings)
		if (v == nil) == (err == nil) {
			t.Fatalf("got %v and error %v", v, err)
		}
		if err != nil || timeout < 0 {
			return
		}
		wait := validator.Wait{Duration: time.Duration(timeout), Declared: true}
		got, err := v.Validate(t.Context(), validator.Session{Steps: 1}, validator.Step{Timeout: wait})
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Check(); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	v := newMinTimeout(b, "")
	for name, timeout := range map[string]time.Duration{"pass": 5 * time.Second, "fail": time.Second} {
		b.Run(name, func(b *testing.B) {
			step := validator.Step{ID: 1, Timeout: validator.Wait{Duration: timeout, Declared: true}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Validate(b.Context(), validator.Session{Steps: 10}, step); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
