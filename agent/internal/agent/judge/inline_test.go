package judge_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// inlineMembers are one that passes, one that panics at step 2, one that errs at step 3 and fails
// the others, and one that waits for its context's end at step 4.
func inlineMembers() []judge.Member {
	return []judge.Member{
		{Name: "pass", Validator: judgement(
			func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
				return validator.PassWith(append(bytes.Clone(s.State), 'p')), nil
			})},
		{Name: "panic", Validator: judgement(
			func(_ validator.Session, step validator.Step) (validator.Verdict, error) {
				if step.ID == 2 {
					panic("oh")
				}
				return validator.PassWith(nil), nil
			})},
		{Name: "error", Validator: judgement(
			func(_ validator.Session, step validator.Step) (validator.Verdict, error) {
				if step.ID == 3 {
					return validator.Verdict{}, errors.New("no")
				}
				return validator.FailWith(validator.RuleBroken, "why", nil), nil
			})},
		{Name: "late", Validator: late(4)},
	}
}

// late is a validator that waits for its context's end at one step.
type late int64

func (l late) Validate(
	ctx context.Context, _ validator.Session, step validator.Step,
) (validator.Verdict, error) {
	if step.ID == int64(l) {
		<-ctx.Done()
		return validator.Verdict{}, context.Cause(ctx)
	}
	return validator.PassWith(nil), nil
}

// TestInlineIsLocal, and judges within Try as well.
func TestInlineIsLocal(t *testing.T) {
	t.Parallel()
	type way = func(*testing.T, *judge.Judge, judge.Session, judge.Step) judge.Judgement
	synctest.Test(t, func(t *testing.T) {
		judgeOf := func(g judge.Group) *judge.Judge {
			return judge.New(judge.NewChain(judge.Options{Limits: limits}, g))
		}
		local, inline := judgeOf(judge.Local(inlineMembers()...)), judgeOf(judge.Inline(inlineMembers()...))
		var memory judge.Memory
		for id := range int64(6) {
			session := judge.Session{ID: "s", Position: int(id), Steps: 10, Memory: memory}
			timed := func(ask way, j *judge.Judge) (judge.Judgement, time.Duration) {
				step := judge.Step{Arrived: time.Now(), Step: validator.Step{ID: id}}
				got := ask(t, j, session, step)
				return got, time.Since(step.Arrived)
			}
			want, wantTook := timed(waiting, local)
			ways := map[string]way{"Judge": waiting, "Try": trying}
			if id == 4 {
				delete(ways, "Try") // Inline is for validators that take no time
			}
			for name, ask := range ways {
				if got, took := timed(ask, inline); !reflect.DeepEqual(got, want) || took != wantTook {
					t.Errorf("step %d:\nInline, %s: %+v after %v\nLocal: %+v after %v",
						id, name, got, took, want, wantTook)
				}
			}
			memory = want.Memory
		}
		if memory.Bytes() != 5 { // of "pass": all but the third step were decided, if only by a fail
			t.Errorf("%d bytes remembered", memory.Bytes())
		}
	})
}

func TestInlineEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the caller is gone"))
	j := judge.New(judge.NewChain(judge.Options{Limits: limits},
		judge.Inline(judge.Member{Name: "a", Validator: late(0)})))
	got := j.Judge(ctx, judge.Session{}, judge.Step{Arrived: time.Now()})
	if want := "validator a gave no verdict: the caller is gone"; got.Detail != want {
		t.Errorf("got %q, want %q", got.Detail, want)
	}
}
