package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/plugins/budget"
	"github.com/stepagent/stepagent/plugins/validator"
)

// mirror says in its verdict everything that it was told, and misbehaves where data says so.
func mirror(_ context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	all := fmt.Sprintf("%q %d/%d %x %+v %#v", s.ID, s.Position, s.Steps, s.State, step, step.Data)
	v := validator.PassWith(append([]byte("state"), all[:min(len(all), 4000)]...))
	switch string(step.Data) {
	case `"fail"`:
		v = validator.FailWith(validator.RuleBroken, all[:min(len(all), 500)], []byte(all)[:1])
	case `"error"`:
		return validator.Verdict{}, errors.New(all)
	case `"panic"`:
		panic("told to")
	case `"fault"`:
		v.Fault = &validator.Fault{Kind: validator.FaultLate, Delay: step.At, StepID: step.ID, Code: s.Position}
	case `"malformed"`:
		v.Outcome = 9
	case `"nothing"`:
		v = validator.PassWith(nil)
	}
	return v, nil
}

// The data path and the stream give the same answers to the same steps.
func TestDataPathAndStreamAgree(t *testing.T) {
	specs := []Spec{{Name: "a", Validator: "mirror"}, {Name: "b", Validator: "counter"}}
	var groups [2]judge.Group
	h, _ := newTestHost(t, nil)
	streams := &Host{options: h.options, sockets: h.sockets, family: h.family}
	streams.options.streamOnly = true
	for i, host := range []*Host{h, streams} {
		set, streamOnly := startSet(t, host, specs...), host == streams
		groups[i] = set.Groups()[0]
		if l := set.supervisors[0].instance.link; (l.data == nil) != streamOnly || (l.stream == nil) == streamOnly {
			t.Fatalf("stream only %v, but data path %v and stream %v", streamOnly, l.data != nil, l.stream != nil)
		}
	}
	wait := rapid.Custom(func(t *rapid.T) validator.Wait {
		return validator.Wait{Duration: time.Duration(rapid.Int64Min(0).Draw(t, "ns")), Declared: true}
	})
	sameError := cmp.Comparer(func(a, b error) bool { return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error()) })
	rapid.Check(t, func(t *rapid.T) {
		call := judge.Call{
			Session: validator.Session{ID: rapid.String().Draw(t, "id"), Position: rapid.IntRange(0, 1<<20).Draw(t, "position"),
				Steps: rapid.IntRange(1, 1<<20).Draw(t, "steps")},
			States: [][]byte{rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "state"), []byte("..")},
			Step: validator.Step{ID: rapid.Int64().Draw(t, "step"), At: time.Duration(rapid.Int64Min(0).Draw(t, "at")),
				Timeout: rapid.OneOf(wait, rapid.Just(validator.Wait{})).Draw(t, "timeout"),
				Gap:     rapid.OneOf(wait, rapid.Just(validator.Wait{})).Draw(t, "gap")},
		}
		if word := rapid.SampledFrom([]string{"", "pass", "fail", "error", "panic", "fault", "malformed", "nothing"}).Draw(t, "data"); word != "" {
			call.Step.Data, _ = json.Marshal(word)
		}
		var answers [2][]judge.Answer
		for i, g := range groups {
			ctx := budget.New(context.Background(), time.Now().Add(patience), nil)
			answers[i] = g.Judge(ctx, call)
			ctx.Release()
		}
		if diff := cmp.Diff(answers[1], answers[0], sameError, sameTime); diff != "" {
			t.Error(diff)
		}
	})
}

// A step whose context sets no timer gets its answer at its deadline all the same.
func TestTheLinkKeepsDeadlines(t *testing.T) {
	h, _ := newTestHost(t, nil)
	for _, limit := range []time.Duration{200 * time.Millisecond, 20 * time.Millisecond, 90 * time.Millisecond} {
		g := startSet(t, h, Spec{Name: "a", Validator: "hang", Settings: []byte(`{"step":3}`)}).Groups()[0]
		began := time.Now()
		ctx := budget.New(t.Context(), began.Add(limit), func() error { return fmt.Errorf("not within %v", limit) })
		a := g.Judge(ctx, judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: 3}})[0]
		ctx.Release()
		if took := time.Since(began); a.Err == nil || a.Err.Error() != fmt.Sprint("not within ", limit) || took < limit {
			t.Errorf("after %v: %+v", took, a)
		}
	}
	g := startSet(t, h, Spec{Name: "a", Validator: "slow", Settings: []byte(`{"step":3}`)}).Groups()[0]
	parent, cancel := context.WithCancelCause(t.Context())
	ctx := budget.New(parent, time.Now().Add(time.Hour), nil)
	gone := errors.New("gone")
	time.AfterFunc(20*time.Millisecond, func() { cancel(gone) })
	if a := g.Judge(ctx, judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: 3}})[0]; !errors.Is(a.Err, gone) {
		t.Errorf("got %+v", a)
	}
}

// sameTime passes over how long a step waited, which is no part of an answer's meaning.
var sameTime = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Queued" }, cmp.Ignore())
