package faults_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/plugins/faults"
	"github.com/stepagent/stepagent/plugins/validator"
)

// largestPlan returns the longest plan, with the step ids that take the most bytes.
func largestPlan() []byte {
	var entries []string
	for i := range int64(faults.MaxPlan) {
		entries = append(entries, fmt.Sprintf(`{"step_id":%d,"fault":"reset","occurrence":1000000}`, math.MinInt64+i))
	}
	return plan(entries...)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	const reset = `{"step_id":3,"fault":"reset"}`
	const kinds = "delay, duplicate, late, reset, split, withhold, wrong_code, wrong_id"
	tests := map[string]struct {
		settings []byte
		want     []string
	}{
		"plan is no list":         {[]byte(`{"plan":{}}`), []string{"plan: want a list, got a table"}},
		"unknown key":             {[]byte(`{"plam":[]}`), []string{"plam: unknown key; the keys here are plan"}},
		"entry is no table":       {plan(reset, `3`), []string{"plan[1]: want a table, got a number"}},
		"unknown key in an entry": {plan(reset, `{"step":3}`), []string{"plan[1].step: unknown key; the keys here are code, delay, fault, occurrence, step_id, wrong_step_id"}},
		"wrong type in an entry":  {plan(reset, `{"step_id":"3"}`), []string{"plan[1].step_id: want a whole number, got a string"}},
		"nothing given": {plan(`{}`, `null`), []string{
			"plan[0].step_id: required: the step id to misbehave at", "plan[0].fault: required: one of " + kinds,
			"plan[1].step_id: required: the step id to misbehave at", "plan[1].fault: required: one of " + kinds}},
		"unknown fault": {plan(`{"step_id":3,"fault":"drop"}`), []string{`plan[0].fault: want one of ` + kinds + `, got "drop"`}},
		"fault none":    {plan(`{"step_id":3,"fault":"none"}`), []string{`plan[0].fault: want one of ` + kinds + `, got "none"`}},
		"occurrence": {plan(`{"step_id":3,"fault":"reset","occurrence":-1}`, `{"step_id":4,"fault":"reset","occurrence":1000001}`),
			[]string{"plan[0].occurrence: want 0 to 1000000, got -1", "plan[1].occurrence: want 0 to 1000000, got 1000001"}},
		"delay is missing": {plan(`{"step_id":3,"fault":"delay"}`),
			[]string{"plan[0].delay: required for fault delay: the delay of the reply in seconds"}},
		"delay": {plan(
			`{"step_id":1,"fault":"delay","delay":0}`, `{"step_id":2,"fault":"late","delay":-0.5}`,
			`{"step_id":3,"fault":"split","delay":3600.5}`, `{"step_id":4,"fault":"delay","delay":1e-10}`,
			`{"step_id":5,"fault":"delay","delay":-1e308}`, `{"step_id":6,"fault":"delay","delay":1e308}`),
			[]string{
				"plan[0].delay: want above 0 and at most 3600 seconds, got 0",
				"plan[1].delay: want above 0 and at most 3600 seconds, got -0.5",
				"plan[2].delay: want above 0 and at most 3600 seconds, got 3600.5",
				"plan[3].delay: want above 0 and at most 3600 seconds, got 1e-10",
				"plan[4].delay: want above 0 and at most 3600 seconds, got -1e+308",
				"plan[5].delay: want above 0 and at most 3600 seconds, got 1e+308"}},
		"no use": {plan(`{"step_id":3,"fault":"reset","delay":1,"wrong_step_id":4,"code":5}`), []string{
			"plan[0].delay: fault reset does not use it; remove it",
			"plan[0].wrong_step_id: fault reset does not use it; remove it",
			"plan[0].code: fault reset does not use it; remove it"}},
		"own id": {plan(`{"step_id":3,"fault":"wrong_id","wrong_step_id":3}`),
			[]string{"plan[0].wrong_step_id: want another than step_id, which is 3"}},
		"code": {plan(`{"step_id":3,"fault":"wrong_code","code":2147483648}`),
			[]string{"plan[0].code: want a whole number of at most 32 bits, got 2147483648"}},
		"twice": {plan(reset, `{"step_id":3,"fault":"withhold","occurrence":2}`, `{"step_id":3,"fault":"late","occurrence":1}`),
			[]string{"plan[2]: step 3, occurrence 1 is in plan[0] already"}},
		"too long": {plan(slices.Repeat([]string{reset}, 101)...), []string{"plan: 101 entries, at most 100 are allowed"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := faults.New(test.settings)
			if err == nil || v != nil {
				t.Fatalf("got %v and error %v", v, err)
			}
			if got, want := err.Error(), strings.Join(test.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if _, ok := errors.AsType[*validator.SettingError](err); !ok {
				t.Errorf("error is a %T, want a *SettingError in it", err)
			}
		})
	}
}

func FuzzNew(f *testing.F) {
	f.Add([]byte(nil), int64(0))
	f.Add(plan(`{"step_id":3,"fault":"delay","delay":1.5}`, `{"step_id":3,"fault":"late","occurrence":2}`), int64(3))
	f.Add(plan(`{"step_id":4,"fault":"wrong_id","wrong_step_id":5}`, `{"step_id":3,"fault":"wrong_code","code":1}`), int64(4))
	f.Add([]byte(`{"plan":[null,7,{"step_id":1e9}]}`), int64(1))
	f.Fuzz(func(t *testing.T, settings []byte, id int64) {
		v, err := faults.New(settings)
		if (v == nil) == (err == nil) {
			t.Fatalf("got %v and error %v", v, err)
		}
		if err == nil {
			session := validator.Session{Steps: 10}
			send(t, v, &session, id)
			send(t, v, &session, id)
		}
	})
}
