package judge_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A validate is a validator.
type validate func(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error)

func (v validate) Validate(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	return v(ctx, s, step)
}

// TestInlineIsLocal, and judges within Start.
func TestInlineIsLocal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		members := []judge.Member{
			{Name: "pass", Validator: validate(func(_ context.Context, s validator.Session, _ validator.Step) (validator.Verdict, error) {
				return validator.PassWith(append(s.State, 'p')), nil
			})},
			{Name: "panic", Validator: validate(func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
				if step.ID == 2 {
					panic("oh")
				}
				return validator.PassWith(nil), nil
			})},
			{Name: "error", Validator: validate(func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
				if step.ID == 3 {
					return validator.Verdict{}, errors.New("no")
				}
				return validator.FailWith(validator.RuleBroken, "why", nil), nil
			})},
			{Name: "late", Validator: validate(func(ctx context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
				if step.ID == 4 {
					<-ctx.Done()
					return validator.Verdict{}, context.Cause(ctx)
				}
				return validator.PassWith(nil), nil
			})},
		}
		local := judge.New(judge.NewChain(judge.Options{Limits: limits}, judge.Local(members...)))
		inline := judge.New(judge.NewChain(judge.Options{Limits: limits}, judge.Inline(members...)))
		client, pending := make(judgements, 1), new(judge.Pending)
		var memory judge.Memory
		for id := range int64(6) {
			session := judge.Session{ID: "s", Position: int(id), Steps: 10, Memory: memory}
			began := time.Now()
			step := judge.Step{Arrived: began, Step: validator.Step{ID: id}}
			inline.Start(t.Context(), pending, session, step, client).Flush()
			took := time.Since(began)
			got := client.one(t)
			step.Arrived = time.Now()
			if want := local.Judge(t.Context(), session, step); !reflect.DeepEqual(got, want) || took != time.Since(step.Arrived) {
				t.Errorf("step %d:\nInline: %+v after %v\nLocal:  %+v after %v", id, got, took, want, time.Since(step.Arrived))
			}
			memory = got.Memory
		}
		if memory.Bytes() != 5 { // of "pass": all but the third step were decided, if only by a fail
			t.Errorf("%d bytes remembered", memory.Bytes())
		}
	})
}

func TestInlineEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("nobody wants to know"))
	j := judge.New(judge.NewChain(judge.Options{Limits: limits}, judge.Inline(judge.Member{Name: "a", Validator: validate(
		func(ctx context.Context, _ validator.Session, _ validator.Step) (validator.Verdict, error) {
			return validator.Verdict{}, context.Cause(ctx)
		})})))
	client := make(judgements, 1)
	j.Start(ctx, new(judge.Pending), judge.Session{}, judge.Step{Arrived: time.Now()}, client)
	if got, want := client.one(t), "validator a gave no verdict: nobody wants to know"; got.Detail != want {
		t.Errorf("got %q, want %q", got.Detail, want)
	}
}
