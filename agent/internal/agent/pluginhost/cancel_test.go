package pluginhost

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/validator"
)

// Callers that give up leave nothing behind: what they sent may be overwritten, and there is
// room for as many again and again.
func TestGivingUpLeavesNothingBehind(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, Spec{Name: "a", Validator: "echo"}).Groups()[0]
	const callers = 8
	each := soaktest.Repetitions(t, maxInFlight, maxInFlight/callers*5/4) // more than the room there is
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			data := []byte("{}")
			for i := range each {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%100)*time.Microsecond)
				g.Judge(ctx, judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: 1, Data: data}})
				cancel()
				data[0] = '{'
			}
		})
	}
	calling.Wait()
	passes(t, g, 1)
}

// A step that is not answered ends at its deadline, and when its context ends for another reason, with
// the cause.
func TestAStepEndsWithItsContext(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	late, gone := errors.New("too late"), errors.New("gone")
	const limit = 20 * time.Millisecond
	g := startSet(t, h, Spec{Name: "a", Validator: "hang", Settings: []byte(`{"step":3}`)}).Groups()[0]
	for name, test := range map[string]struct {
		context func(t *testing.T) (context.Context, context.CancelFunc)
		want    error
		atLeast time.Duration
	}{
		"at the deadline": {func(t *testing.T) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(t.Context(), limit, late)
		}, late, limit},
		"when its parent ends": {func(t *testing.T) (context.Context, context.CancelFunc) {
			parent, end := context.WithCancelCause(t.Context())
			time.AfterFunc(limit, func() { end(gone) })
			return context.WithTimeout(parent, time.Hour)
		}, gone, limit},
		"when it has ended before": {func(t *testing.T) (context.Context, context.CancelFunc) {
			ctx, end := context.WithCancelCause(t.Context())
			end(gone)
			return ctx, func() {}
		}, gone, 0},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			ctx, cancel := test.context(t)
			defer cancel()
			a := g.Judge(ctx, judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: 3}})
			if took := time.Since(began); !errors.Is(a[0].Err, test.want) || took < test.atLeast || took > patience {
				t.Errorf("after %v: %+v, want %v", took, a, test.want)
			}
		})
	}
}
