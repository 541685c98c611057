package pluginhost

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// What follows the validators in force is tried whole beside them; when it fails, they have
// seen nothing of it.
func TestP16TheNewOneFailsAndTheOldServes(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, func(o *Options) { o.StartTimeout = patience })
	old := startSet(t, h, Spec{Name: "a", Validator: "writes-1"},
		Spec{Name: "b", Validator: "counter", Path: self(t), Args: []string{"plugin", "good"}})
	c := newCrowd(t, old.Groups()[1], 8, pausing(5*time.Millisecond))
	for name, test := range map[string]struct {
		spec Spec
		want string
	}{
		"does not accept the state": {Spec{Name: "a", Validator: "writes-2"},
			"cannot continue the open sessions, as it does not accept the state of the validator a in force: " +
				"the state is not of version 2; give it another name with as, and it starts anew in each of them"},
		"does not start":          {Spec{Name: "a", Validator: "v", Path: "/none"}, "there is no file /none"},
		"panics in its self-test": {Spec{Name: "a", Validator: "panic", Settings: []byte(`{"step":1}`)}, "panic: on purpose"},
		"crashes in its self-test": {Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":1}`)},
			"ended before it was ready (exit status 3)"},
		"crashes at the second step": {Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":2}`)},
			"gave no verdict when it was tried: two processes were lost over this step"},
		"hangs in its self-test": {Spec{Name: "a", Validator: "hang", Settings: []byte(`{"step":1}`)}, "was not ready in time"},
	} {
		t.Run(name, func(t *testing.T) {
			limit := patience
			if test.spec.Validator == "hang" {
				limit = time.Second // of which it takes all
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := h.Follow(ctx, old, []Spec{test.spec})
			if all := specErrors(t, err); len(all) != 1 || all[0].Index != 0 || !strings.Contains(all[0].Problem, test.want) {
				t.Errorf("got %+v, want %s", all, test.want)
			}
			c.advance(t, 100)
		})
	}
	c.end()
	if st := old.Status()[1]; st.Restarts != 0 || st.Errors != 0 {
		t.Errorf("status = %+v", st)
	}
}

// A validator that accepts the state continues the sessions in another process.
func TestP16TheNewOneGoesOn(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	old := startSet(t, h, Spec{Name: "a", Validator: "counter"}, Spec{Name: "b", Validator: "writes-1"})
	next, err := h.Follow(t.Context(), old, []Spec{{Name: "a", Validator: "counter"}, {Name: "c", Validator: "writes-2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close(context.Background()) })
	state := within(t, patience, old.Groups()[0], 1)[0].Verdict.State
	if a := within(t, patience, next.Groups()[0], 2, state, nil)[0]; a.Err != nil || a.Verdict.Outcome != validator.Pass {
		t.Errorf("got %+v", a)
	}
	if was, is := old.Status()[0], next.Status()[0]; was.PID == is.PID || was.Steps != 1 || is.Steps != 1 {
		t.Errorf("old %+v\nnew %+v", was, is)
	}
}

// Validators in force that are down do not keep others from following them.
func TestP16TheOldOneIsDown(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, func(o *Options) { o.PingTimeout = pingTimeout })
	old := startSet(t, h, Spec{Name: "a", Validator: "counter"})
	freeze(t, old)
	next, err := h.Follow(t.Context(), old, []Spec{{Name: "a", Validator: "counter"}})
	if err != nil {
		t.Fatal(err)
	}
	passes(t, next.Groups()[0], 1)
	next.Close(t.Context())
}

// Nor does one that never answers: it is what people want to replace.
func TestP16TheOldOneHangs(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	old := startSet(t, h, Spec{Name: "a", Validator: "second-hangs"},
		Spec{Name: "b", Validator: "counter", Path: self(t), Args: []string{"plugin", "good"}})
	next, err := h.Follow(t.Context(), old, []Spec{{Name: "b", Validator: "counter"}})
	if err != nil {
		t.Fatal(err)
	}
	passes(t, next.Groups()[0], 1)
	next.Close(t.Context())
}

// A slow validator may be replaced by one that is as slow; neither is taken to hang.
func TestP16BothAreSlow(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	slow := Spec{Name: "a", Validator: "dawdles"}
	old := startSet(t, h, slow)
	next, err := h.Follow(t.Context(), old, []Spec{slow})
	if err != nil {
		t.Fatal(err)
	}
	next.Close(t.Context())
	if st := old.Status()[0]; st.Restarts != 0 {
		t.Errorf("status = %+v", st)
	}
}
