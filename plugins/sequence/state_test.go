package sequence_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

// behind is the state of a session in which step 2 must come although it is not the second.
var behind = []byte{1, 0, 0, 0, 0, 0, 0, 0, 2}

func TestStateIsFixed(t *testing.T) {
	t.Parallel()
	c := client{Validator: newSequence(t, settings(1, 10, "hold")), session: validator.Session{Steps: 10}}
	for i, send := range []struct {
		id   int64
		want []byte
	}{{1, nil}, {3, behind}, {2, []byte{1, 0, 0, 0, 0, 0, 0, 0, 3}}} {
		if got := c.send(t, send.id).State; string(got) != string(send.want) {
			t.Errorf("send %d: state %v, want %v", i, got, send.want)
		}
	}
}

func TestStateIsDroppedWhenInStepAgain(t *testing.T) {
	t.Parallel()
	c := client{Validator: newSequence(t, settings(1, 3, "hold")), session: validator.Session{Steps: 10}}
	for range 3 { // a whole round behind is no different from none
		c.send(t, 99)
	}
	if got := c.session.State; got != nil {
		t.Errorf("state %v, want none", got)
	}
}

func TestStateOutlivesSettings(t *testing.T) {
	t.Parallel()
	session := validator.Session{Position: 5, Steps: 10, State: behind}
	for _, mode := range []string{"resync", "hold"} {
		c := client{Validator: newSequence(t, settings(0, 4, mode)), session: session}
		if got := c.send(t, 2); got.Outcome != validator.Pass {
			t.Errorf("%s: got %+v", mode, got)
		}
	}
}

func TestStateThatCannotBeRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		session validator.Session
		want    string
	}{
		"version 2":         {validator.Session{State: append([]byte{2}, behind[1:]...)}, "not that of this validator"},
		"version alone":     {validator.Session{State: behind[:1]}, "not that of this validator"},
		"cut":               {validator.Session{State: behind[:8]}, "not that of this validator"},
		"too long":          {validator.Session{State: append(behind[:9:9], 0)}, "not that of this validator"},
		"negative position": {validator.Session{Position: -1}, "position -1 is below 0"},
	}
	for name, test := range tests {
		for _, mode := range []string{"resync", "hold"} {
			v := newSequence(t, settings(1, 10, mode))
			verdict, err := v.Validate(t.Context(), test.session, validator.Step{ID: 2})
			if err == nil || !strings.Contains(err.Error(), test.want) || verdict.Outcome != validator.Undecided {
				t.Errorf("%s, %s: got %+v and error %v, want undecided and %q", name, mode, verdict, err, test.want)
			}
			if id, known := v.(validator.Expecter).Expects(test.session); known {
				t.Errorf("%s, %s: expects %d, want nothing known", name, mode, id)
			}
		}
	}
}

// TestStateOutsideTheRange: a session that other settings left at a step that none can send
// goes on under hold from its position; under resync it is the step that came that counts.
func TestStateOutsideTheRange(t *testing.T) {
	t.Parallel()
	left := validator.Session{Position: 3, Steps: 10, State: []byte{1, 0, 0, 0, 0, 0, 0, 0, 11}}

	held := client{Validator: newSequence(t, settings(1, 10, "hold")), session: left}
	if id, known := held.Validator.(validator.Expecter).Expects(left); id != 4 || !known {
		t.Errorf("hold: expects %d, %t, want 4", id, known)
	}
	for _, step := range []struct {
		id   int64
		want validator.Outcome
	}{{11, validator.Fail}, {5, validator.Fail}, {4, validator.Pass}, {5, validator.Pass}} {
		if got := held.send(t, step.id); got.Outcome != step.want {
			t.Errorf("hold, step %d: got %+v, want outcome %v", step.id, got, step.want)
		}
	}

	v, err := newSequence(t, settings(1, 10, "resync")).Validate(t.Context(), left, validator.Step{ID: 2})
	if err != nil || v.Outcome != validator.Fail {
		t.Errorf("resync: got %+v and error %v, want a fail", v, err)
	}
}

func FuzzNew(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(settings(1, 10, "advance")))
	f.Add([]byte(settings(math.MinInt64, math.MaxInt64, "resync")))
	f.Add([]byte(`{"first":2,"last":1,"after_bad_step":"never"}`))
	f.Fuzz(func(t *testing.T, settings []byte) {
		v, err := sequence.New(settings)
		if (v == nil) == (err == nil) {
			t.Fatalf("got %v and error %v", v, err)
		}
		if err == nil {
			judgeTwice(t, v, validator.Session{Steps: 1}, 1)
		}
	})
}

func FuzzValidate(f *testing.F) {
	f.Add(uint8(1), int64(1), int64(9), 3, int64(4), behind)
	f.Add(uint8(2), int64(math.MinInt64), int64(-1), math.MaxInt, int64(math.MaxInt64), []byte{1, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Add(uint8(0), int64(0), int64(0), -1, int64(0), []byte("nonsense"))
	f.Fuzz(func(t *testing.T, mode uint8, first, more int64, position int, id int64, state []byte) {
		last := first + more
		if last < first {
			last = math.MaxInt64
		}
		v := newSequence(t, settings(first, last, modes[int(mode)%len(modes)]))
		judgeTwice(t, v, validator.Session{Position: position, Steps: 10, State: state}, id)
	})
}

// judgeTwice puts a step to the validator, and one more with the state that it left.
func judgeTwice(t *testing.T, v validator.Validator, session validator.Session, id int64) {
	t.Helper()
	first, err := v.Validate(t.Context(), session, validator.Step{ID: id})
	if err != nil {
		return
	}
	if err := first.Check(); err != nil {
		t.Fatal(err)
	}
	if session.Position == math.MaxInt {
		return
	}
	session.Position++
	session.State = first.State
	if _, err := v.Validate(t.Context(), session, validator.Step{ID: id}); err != nil {
		t.Errorf("cannot read its own state %v: %v", first.State, err)
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, mode := range modes {
		for name, id := range map[string]int64{"pass": 4, "fail": 9} {
			b.Run(fmt.Sprintf("%s/%s", mode, name), func(b *testing.B) {
				v := newSequence(b, settings(1, 10, mode))
				session := validator.Session{Position: 3, Steps: 10}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Validate(b.Context(), session, validator.Step{ID: id}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestPassAllocatesNothing(t *testing.T) {
	for _, mode := range modes {
		v := newSequence(t, settings(1, 10, mode))
		session := validator.Session{Position: 3, Steps: 10}
		ctx := t.Context()
		got := testing.AllocsPerRun(100, func() { _, _ = v.Validate(ctx, session, validator.Step{ID: 4}) })
		if got != 0 {
			t.Errorf("%s: a pass allocates %v times, want none", mode, got)
		}
	}
}
