package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/plugins/faults"
	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

var _ validator.Factory = faults.New

// plan makes settings of the given entries.
func plan(entries ...string) []byte {
	return []byte(`{"plan":[` + strings.Join(entries, ",") + `]}`)
}

func newFaults(t testing.TB, settings []byte) validator.Validator {
	t.Helper()
	v, err := faults.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// testingTB is what *testing.T and *rapid.T have in common and the tests need.
type testingTB interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// send puts a step to the validator and the State into the session.
func send(t testingTB, v validator.Validator, session *validator.Session, id int64) *validator.Fault {
	t.Helper()
	got, err := v.Validate(t.Context(), *session, validator.Step{ID: id})
	if err != nil {
		t.Fatalf("step %d: %v", id, err)
	}
	if err := got.Check(); err != nil {
		t.Fatalf("step %d: %v", id, err)
	}
	if got.Outcome != validator.Pass {
		t.Fatalf("step %d: got a %s, want a pass", id, got.Outcome)
	}
	session.Position++
	session.State = got.State
	return got.Fault
}

func TestEveryFault(t *testing.T) {
	t.Parallel()
	tests := map[string]validator.Fault{
		`{"step_id":3,"fault":"delay","delay":2.5}`:                          {Kind: validator.FaultDelay, Delay: 2500 * time.Millisecond},
		`{"step_id":3,"fault":"delay","delay":3600}`:                         {Kind: validator.FaultDelay, Delay: time.Hour},
		`{"step_id":3,"fault":"withhold"}`:                                   {Kind: validator.FaultWithhold},
		`{"step_id":3,"fault":"late"}`:                                       {Kind: validator.FaultLate, Delay: 500 * time.Millisecond},
		`{"step_id":3,"fault":"late","delay":1}`:                             {Kind: validator.FaultLate, Delay: time.Second},
		`{"step_id":3,"fault":"reset"}`:                                      {Kind: validator.FaultReset},
		`{"step_id":3,"fault":"duplicate","delay":null}`:                     {Kind: validator.FaultDuplicate},
		`{"step_id":3,"fault":"split"}`:                                      {Kind: validator.FaultSplit, Delay: 50 * time.Millisecond},
		`{"step_id":3,"fault":"split","delay":0.000000015}`:                  {Kind: validator.FaultSplit, Delay: 15},
		`{"step_id":3,"fault":"wrong_id"}`:                                   {Kind: validator.FaultWrongID, StepID: 4},
		`{"step_id":3,"fault":"wrong_id","wrong_step_id":0}`:                 {Kind: validator.FaultWrongID},
		`{"step_id":9223372036854775807,"fault":"wrong_id"}`:                 {Kind: validator.FaultWrongID, StepID: math.MaxInt64 - 1},
		`{"step_id":3,"fault":"wrong_code"}`:                                 {Kind: validator.FaultWrongCode, Code: 99},
		`{"step_id":3,"fault":"wrong_code","code":0}`:                        {Kind: validator.FaultWrongCode},
		`{"step_id":3,"fault":"wrong_code","code":-1}`:                       {Kind: validator.FaultWrongCode, Code: -1},
		`{"step_id":-9223372036854775808,"fault":"reset"}`:                   {Kind: validator.FaultReset},
		`{"step_id":3,"fault":"reset","occurrence":1}`:                       {Kind: validator.FaultReset},
		`{"step_id":3,"fault":"wrong_id","wrong_step_id":-9,"occurrence":0}`: {Kind: validator.FaultWrongID, StepID: -9},
	}
	kinds := make(map[validator.FaultKind]bool)
	for entry, want := range tests {
		var at struct {
			StepID int64 `json:"step_id"`
		}
		if err := json.Unmarshal([]byte(entry), &at); err != nil {
			t.Fatal(err)
		}
		got := send(t, newFaults(t, plan(entry)), &validator.Session{Steps: 10}, at.StepID)
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", entry, diff)
		}
		kinds[want.Kind] = true
	}
	if len(kinds) != len(validator.FaultKinds()) {
		t.Errorf("%d kinds of faults are tested, there are %d", len(kinds), len(validator.FaultKinds()))
	}
}

func TestOccurrences(t *testing.T) {
	t.Parallel()
	v := newFaults(t, plan(
		`{"step_id":1,"fault":"withhold","occurrence":2}`,
		`{"step_id":2,"fault":"duplicate","occurrence":0}`,
		`{"step_id":2,"fault":"reset","occurrence":3}`,
	))
	var got []string
	session := validator.Session{Steps: 20}
	for _, id := range []int64{1, 2, 1, 2, 3, 2, 1, 2} {
		kind := "none"
		if fault := send(t, v, &session, id); fault != nil {
			kind = fault.Kind.String()
		}
		got = append(got, fmt.Sprintf("%d %s", id, kind))
	}
	want := []string{"1 none", "2 duplicate", "1 withhold", "2 duplicate", "3 none", "2 reset", "1 none", "2 duplicate"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNoPlan(t *testing.T) {
	t.Parallel()
	for _, settings := range []string{"", "{}", `{"plan":[]}`, `{"plan":null}`} {
		session := validator.Session{Steps: 10}
		if fault := send(t, newFaults(t, []byte(settings)), &session, 1); fault != nil || session.State != nil {
			t.Errorf("%q: fault %v, state %q, want none", settings, fault, session.State)
		}
	}
}

// TestModel compares with a model that looks back over all steps that came.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.Int64Range(1, 4)
		planned := rapid.MapOfN(
			rapid.Custom(func(t *rapid.T) [2]int64 {
				return [2]int64{ids.Draw(t, "id"), rapid.Int64Range(0, 4).Draw(t, "occurrence")}
			}),
			rapid.IntRange(-1000, 1000), 0, 10,
		).Draw(t, "plan")
		var entries []string
		for at, code := range planned {
			entries = append(entries, fmt.Sprintf(`{"step_id":%d,"occurrence":%d,"fault":"wrong_code","code":%d}`, at[0], at[1], code))
		}
		v, err := faults.New(plan(entries...))
		if err != nil {
			t.Fatal(err)
		}

		session := validator.Session{Steps: 40}
		came := make([]int64, 5)
		for _, id := range rapid.SliceOfN(ids, 0, 40).Draw(t, "steps") {
			came[id]++
			code, want := planned[[2]int64{id, came[id]}]
			if !want {
				code, want = planned[[2]int64{id, 0}]
			}
			got := send(t, v, &session, id)
			if (got != nil) != want || want && got.Code != code {
				t.Fatalf("step %d for the %d. time: got %+v, want code %d (%t)", id, came[id], got, code, want)
			}
		}
	})
}

func TestReads(t *testing.T) {
	t.Parallel()
	for _, settings := range [][]byte{nil, plan(`{"step_id":1,"fault":"late"}`), largestPlan()} {
		got, declared := validator.Declared(newFaults(t, settings))
		if want := validator.InputStepID; !declared || got != want {
			t.Errorf("%.40s: reads %s, want %s", settings, got, want)
		}
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]byte{
		"no plan": nil,
		"all kinds": plan(`{"step_id":1,"fault":"delay","delay":1,"occurrence":0}`, `{"step_id":2,"fault":"wrong_id"}`,
			`{"step_id":2,"fault":"wrong_code","occurrence":2}`, `{"step_id":-1,"fault":"reset"}`),
		"largest": largestPlan(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			validatortest.Check(t, func() validator.Validator { return newFaults(t, settings) },
				validatortest.Options{StepIDs: []int64{math.MinInt64, math.MinInt64 + 1, math.MinInt64 + 99}})
		})
	}
}
