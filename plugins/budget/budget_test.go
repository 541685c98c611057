package budget

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errLate = errors.New("late")

// A sight is what somebody sees of a context at its end.
type sight struct {
	state      string
	err, cause error
	at         time.Time
	ok         bool
}

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
					see := func(make func(context.Context, time.Time) (context.Context, func())) sight {
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
						return sight{state, err, context.Cause(ctx), at.Add(-deadline), ok}
					}
					began := time.Now()
					got := see(func(p context.Context, d time.Time) (context.Context, func()) {
						c := New(p, d, func() error { return errLate })
						return c, c.Release
					})
					if got.at != began || !got.ok {
						t.Errorf("its deadline is that of %v, %v", got.at, got.ok)
					}
					want := see(func(p context.Context, d time.Time) (context.Context, func()) {
						return context.WithDeadlineCause(p, d, errLate)
					})
					if got.state != want.state || !errors.Is(got.err, want.err) || (want.cause == nil) != (got.cause == nil) ||
						got.cause != nil && got.cause.Error() != want.cause.Error() {
						t.Errorf("got %+v, want %+v", got, want)
					}
				})
			})
		}
	}
}

// What is made together ends each on its own, and nothing is made twice.
func TestMaker(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	m := NewMaker(parent)
	seen := map[*Context]bool{}
	deadline := time.Now().Add(time.Hour)
	for i := range 3 * makerContexts {
		c := m.New(deadline.Add(time.Duration(i)), func() error { return errLate })
		if at, _ := c.Deadline(); seen[c] || c.Err() != nil || !at.Equal(deadline.Add(time.Duration(i))) || c.Late() != errLate {
			t.Errorf("context %d: again: %v, %v, its deadline is that of %v", i, seen[c], c.Err(), at)
		}
		seen[c] = true
		if i%2 == 1 {
			c.Release()
		}
	}
	open := 0
	for c := range seen {
		if c.Err() == nil {
			open++
		}
	}
	cancel()
	for c := range seen {
		if <-c.Done(); c.Err() == nil {
			t.Error("one outlives its parent")
		}
	}
	if open != len(seen)/2 {
		t.Errorf("%d of %d are open, the others were released", open, len(seen))
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
