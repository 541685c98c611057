package sequence_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

var _ validator.Factory = sequence.New

var modes = []string{"advance", "resync", "hold"}

func settings(first, last int64, mode string) string {
	return fmt.Sprintf(`{"first":%d,"last":%d,"after_bad_step":%q}`, first, last, mode)
}

func newSequence(t testing.TB, settings string) validator.Validator {
	t.Helper()
	v, err := sequence.New([]byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	const (
		lowest  = math.MinInt64
		highest = math.MaxInt64
		pass    = "pass"
	)
	type sent struct {
		id   int64
		want string // "pass" or the detail
	}
	tests := map[string]struct {
		settings string
		sends    []sent
	}{
		"defaults": {"", []sent{{1, pass}, {2, pass}, {5, "step 3 must come now, got 5"}, {4, pass}}},
		"outside": {"", []sent{
			{0, "step 1 must come now, got 0, which is outside 1 to 10"},
			{11, "step 2 must come now, got 11, which is outside 1 to 10"},
			{lowest, "step 3 must come now, got -9223372036854775808, which is outside 1 to 10"},
			{highest, "step 4 must come now, got 9223372036854775807, which is outside 1 to 10"},
		}},
		"the list begins anew": {settings(1, 2, "advance"), []sent{{1, pass}, {2, pass}, {1, pass}, {2, pass},
			{3, "step 1 must come now, got 3, which is outside 1 to 2"}, {2, pass}}},
		"a list of one": {settings(7, 7, "resync"), []sent{{7, pass}, {7, pass},
			{8, "step 7 must come now, got 8, which is outside 7 to 7"},
			{7, "step 9 would come now, which is outside 7 to 7, got 7"}}},
		"resync": {settings(1, 10, "resync"), []sent{{1, pass},
			{4, "step 2 must come now, got 4"}, {5, pass}, {5, "step 6 must come now, got 5"}, {6, pass}}},
		"resync, outside": {settings(1, 10, "resync"), []sent{{1, pass},
			{11, "step 2 must come now, got 11, which is outside 1 to 10"},
			{12, "step 12 would come now, which is outside 1 to 10, got 12"},
			{4, "step 13 would come now, which is outside 1 to 10, got 4"}, {5, pass}}},
		"resync at last": {settings(1, 10, "resync"), []sent{{1, pass},
			{10, "step 2 must come now, got 10"},
			{1, "step 11 would come now, which is outside 1 to 10, got 1"}, {2, pass}}},
		"resync at the highest": {settings(1, highest, "resync"), []sent{
			{highest, "step 1 must come now, got 9223372036854775807"}, {1, pass}, {2, pass}}},
		"resync over all ids": {settings(lowest, highest, "resync"), []sent{{lowest, pass}, {lowest + 1, pass},
			{highest - 1, "step -9223372036854775806 must come now, got 9223372036854775806"}, {highest, pass}, {lowest, pass}}},
		"resync, back in step": {settings(1, 10, "resync"), []sent{
			{2, "step 1 must come now, got 2"}, {2, "step 3 must come now, got 2"}, {3, pass}, {4, pass}}},
		"hold": {settings(1, 10, "hold"), []sent{{1, pass}, {3, "step 2 must come now, got 3"},
			{99, "step 2 must come now, got 99, which is outside 1 to 10"}, {2, pass}, {3, pass}}},
		"hold at last": {settings(1, 2, "hold"), []sent{{1, pass}, {1, "step 2 must come now, got 1"},
			{2, pass}, {1, pass}}},
		"highest range": {settings(highest-1, highest, "hold"), []sent{{highest - 1, pass}, {highest, pass}, {highest - 1, pass}}},
		"lowest range":  {settings(lowest, lowest+1, "advance"), []sent{{lowest, pass}, {lowest + 1, pass}, {lowest, pass}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client{Validator: newSequence(t, test.settings), session: validator.Session{Steps: 10}}
			for i, send := range test.sends {
				v := c.send(t, send.id)
				got := v.Detail
				if v.Outcome == validator.Pass {
					got = pass
				} else if v.Reason != validator.OutOfOrder {
					t.Errorf("send %d: reason %q", i, v.Reason)
				}
				if got != send.want {
					t.Errorf("send %d, step %d:\n got %q\nwant %q", i, send.id, got, send.want)
				}
			}
		})
	}
}

func TestPositionIsAllThatAdvanceNeeds(t *testing.T) {
	t.Parallel()
	v := newSequence(t, "")
	for _, test := range []struct {
		position int
		want     int64
	}{{0, 1}, {9, 10}, {10, 1}, {25, 6}, {math.MaxInt32, 2147483647%10 + 1}} {
		session := validator.Session{Position: test.position, Steps: 10, State: []byte("left by another")}
		c := client{Validator: v, session: session}
		if got := c.send(t, test.want); got.Outcome != validator.Pass || got.State != nil {
			t.Errorf("position %d, step %d: got %+v, want a pass without state", test.position, test.want, got)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{ // settings: the errors, all at once
		`{"first":5,"last":4}`:                 {"last: 4 is below first, which is 5; set both"},
		`{"first":11}`:                         {"last: 10 is below first, which is 11; set both"},
		`{"after_bad_step":""}`:                {`after_bad_step: want "advance", "resync" or "hold", got ""`},
		`{"first":11,"after_bad_step":"Hold"}`: {"last: 10 is below first, which is 11; set both", `after_bad_step: want "advance", "resync" or "hold", got "Hold"`},
		`{"frist":1}`:                          {"frist: unknown key; the keys here are after_bad_step, first, last"},
		`{"first":"1"}`:                        {"first: want a whole number, got a string"},
	}
	for settings, want := range tests {
		v, err := sequence.New([]byte(settings))
		if err == nil || v != nil {
			t.Errorf("%s: got %v and error %v", settings, v, err)
			continue
		}
		if got, want := err.Error(), strings.Join(want, "\n"); got != want {
			t.Errorf("%s:\n got %q\nwant %q", settings, got, want)
		}
		if _, ok := errors.AsType[*validator.SettingError](err); !ok {
			t.Errorf("%s: error is a %T, want a *SettingError in it", settings, err)
		}
	}
}

// TestReads: the position determines the expected step for every after_bad_step.
func TestReads(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		got, declared := validator.Declared(newSequence(t, settings(1, 10, mode)))
		if want := validator.InputPosition | validator.InputStepID; !declared || got != want {
			t.Errorf("%s: reads %s, want %s", mode, got, want)
		}
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		for _, ids := range [][2]int64{{1, 10}, {-3, 3}, {math.MinInt64, math.MaxInt64}, {math.MaxInt64, math.MaxInt64}} {
			t.Run(fmt.Sprint(mode, ids), func(t *testing.T) {
				t.Parallel()
				validatortest.Check(t, func() validator.Validator {
					return newSequence(t, settings(ids[0], ids[1], mode))
				}, validatortest.Options{StepIDs: ids[:]})
			})
		}
	}
}
