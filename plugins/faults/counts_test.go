package faults_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/plugins/validator"
)

func TestStateIsFixed(t *testing.T) {
	t.Parallel()
	v := newFaults(t, plan(`{"step_id":3,"fault":"reset"}`, `{"step_id":-1,"fault":"reset"}`))
	session := validator.Session{Steps: 10}
	for _, test := range []struct {
		id   int64
		want string
	}{{1, ""}, {3, `{"v":1,"seen":{"3":1}}`}, {3, `{"v":1,"seen":{"3":2}}`}, {1, `{"v":1,"seen":{"3":2}}`},
		{-1, `{"v":1,"seen":{"-1":1,"3":2}}`}} {
		send(t, v, &session, test.id)
		if got := string(session.State); got != test.want {
			t.Errorf("after step %d: state %s, want %s", test.id, got, test.want)
		}
	}
}

func TestStateOutlivesThePlan(t *testing.T) {
	t.Parallel()
	session := validator.Session{Steps: 10, State: []byte(`{"v":1,"seen":{"3":1,"4":7}}`)}
	v := newFaults(t, plan(`{"step_id":3,"fault":"reset","occurrence":2}`))
	if fault := send(t, v, &session, 3); fault == nil {
		t.Error("the second step 3 got no fault")
	}
	if got, want := string(session.State), `{"v":1,"seen":{"3":2}}`; got != want {
		t.Errorf("state %s, want %s", got, want)
	}
}

// TestLargestState sees to it that a session can never outgrow its State.
func TestLargestState(t *testing.T) {
	t.Parallel()
	v := newFaults(t, largestPlan())
	session := validator.Session{Steps: math.MaxInt32}
	for i := range int64(100) {
		send(t, v, &session, math.MinInt64+i) // checks the verdict's form
	}
	head, seen, _ := strings.Cut(string(session.State), `"seen"`)
	session.State = []byte(head + `"seen"` + strings.ReplaceAll(seen, `":1`, `":1000001`))
	session.State = []byte(strings.Replace(string(session.State), `808":1000001`, `808":999999`, 1))
	if fault := send(t, v, &session, math.MinInt64); fault == nil {
		t.Error("got no fault at the highest occurrence")
	}
	for range 3 { // counts no further
		if fault := send(t, v, &session, math.MinInt64); fault != nil {
			t.Error("got a fault beyond the highest occurrence")
		}
	}
	if want := `"-9223372036854775808":1000001`; !strings.Contains(string(session.State), want) {
		t.Errorf("state %s, want %s in it", session.State, want)
	}
}

func TestStateThatCannotBeRead(t *testing.T) {
	t.Parallel()
	v := newFaults(t, plan(`{"step_id":3,"fault":"reset"}`))
	for _, state := range []string{
		"\x01", "null", "{}", "[]", `{"v":1}`, `{"v":1,"seen":null}`, `{"v":2,"seen":{}}`, `{"seen":{}}`, `{"v":1,"seen":{"x":1}}`,
		`{"v":1,"seen":{"3":0}}`, `{"v":1,"seen":{"3":-1}}`, `{"v":1,"seen":{"3":1000002}}`, `{"v":1,"seen":{"3":1.5}}`,
		`{"v":1,"seen":{"3":1}}x`, `{"v":1,"seen":{"3":1}`,
	} {
		got, err := v.Validate(t.Context(), validator.Session{Position: 1, Steps: 10, State: []byte(state)}, validator.Step{ID: 3})
		if err == nil || got.Outcome != validator.Undecided || got.State != nil || got.Fault != nil {
			t.Errorf("%q: got %+v and error %v, want undecided", state, got, err)
		} else if !strings.Contains(err.Error(), "the session's state") {
			t.Errorf("%q: error %q does not speak of the state", state, err)
		}
	}
}

func FuzzValidate(f *testing.F) {
	f.Add([]byte(`{"v":1,"seen":{"3":1,"4":7}}`), int64(3))
	f.Add([]byte(`{"v":1,"seen":{}}`), int64(math.MinInt64))
	f.Add([]byte(`{"v":1,"seen":null}`), int64(0))
	f.Add([]byte{1, 0, 0}, int64(1))
	f.Fuzz(func(t *testing.T, state []byte, id int64) {
		v := newFaults(t, plan(`{"step_id":3,"fault":"reset","occurrence":0}`, `{"step_id":0,"fault":"late","occurrence":9}`))
		got, err := v.Validate(t.Context(), validator.Session{Position: 1, Steps: 10, State: state}, validator.Step{ID: id})
		if err != nil {
			return
		}
		if err := got.Check(); err != nil {
			t.Fatal(err)
		}
		if (got.Fault != nil) != (id == 3 || id == 0 && strings.Contains(string(got.State), `"0":9`)) {
			t.Errorf("step %d: fault %+v with state %s", id, got.Fault, got.State)
		}
		send(t, v, &validator.Session{Position: 2, Steps: 10, State: got.State}, id)
	})
}
