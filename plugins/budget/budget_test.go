package budget

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errLate = errors.New("late")

// It does what context.WithDeadlineCause does, whenever somebody begins to look at it.
func TestLikeTheStandardOne(t *testing.T) {
	const deadline = 10 * time.Second
	ends := map[string]func(parent context.CancelCauseFunc, release func()){
		"at its deadline": func(context.CancelCauseFunc, func()) { time.Sleep(deadline) },
		"with its parent": func(parent context.CancelCauseFunc, _ func()) { parent(errors.New("gone")) },
		"released":        func(_ context.CancelCauseFunc, release func()) { release() },
		"not":             func(context.CancelCauseFunc, func()) { time.Sleep(deadline - 1) },
	}
	for name, end := range ends {
		for _, looked := range []string{"never", "at Done", "at Err", "by a child"} {
			t.Run(name+"/looked "+looked, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					see := func(make func(context.Context, time.Time) (context.Context, func())) (string, error, error, time.Time, bool) {
						parent, cancel := context.WithCancelCause(context.Background())
						defer cancel(nil)
						ctx, release := make(parent, time.Now().Add(deadline))
						defer release()
						switch looked {
						case "at Done":
							ctx.Done()
						case "at Err":
							if err := ctx.Err(); err != nil {
								t.Errorf("ended at once: %v", err)
							}
						case "by a child":
							child, stop := context.WithCancel(ctx)
							defer stop()
							defer func() {
								synctest.Wait()
								if (child.Err() == nil) != (ctx.Err() == nil) {
									t.Errorf("the child's error is %v, that of its parent %v", child.Err(), ctx.Err())
								}
							}()
						}
						end(cancel, release)
						synctest.Wait()
						err, state := ctx.Err(), "open"
						select {
						case <-ctx.Done():
							state = "done"
						default:
						}
						at, ok := ctx.Deadline()
						return state, err, context.Cause(ctx), at.Add(-deadline), ok
					}
					began := time.Now()
					state, err, cause, at, ok := see(func(p context.Context, d time.Time) (context.Context, func()) {
						c := New(p, d, func() error { return errLate })
						return c, c.Release
					})
					if at != began || !ok {
						t.Errorf("its deadline is that of %v, %v", at, ok)
					}
					wantState, wantErr, wantCause, _, _ := see(func(p context.Context, d time.Time) (context.Context, func()) {
						return context.WithDeadlineCause(p, d, errLate)
					})
					if state != wantState || !errors.Is(err, wantErr) || wantCause == nil != (cause == nil) ||
						cause != nil && cause.Error() != wantCause.Error() {
						t.Errorf("%s, %v because of %v, want %s, %v because of %v", state, err, cause, wantState, wantErr, wantCause)
					}
				})
			})
		}
	}
}

func TestLate(t *testing.T) {
	c := New(t.Context(), time.Now(), nil)
	if err := c.Late(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if <-c.Done(); !errors.Is(c.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(c), context.DeadlineExceeded) {
		t.Errorf("got %v because of %v", c.Err(), context.Cause(c))
	}
	sooner, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	want, _ := sooner.Deadline()
	if got, ok := New(sooner, want.Add(time.Second), nil).Deadline(); got != want || !ok || New(sooner, want, nil).Parent() != sooner {
		t.Errorf("the deadline is %v, want that of the parent, %v", got, want)
	}
}
