package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

func TestLook(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, test := range map[string]struct {
		heard  time.Duration // ago
		sent   time.Duration // ago
		left   time.Duration // to the deadline
		silent bool
		want   string
	}{
		"just sent":                    {heard: time.Hour, sent: time.Millisecond, left: time.Second},
		"others are answered":          {heard: time.Millisecond, sent: time.Second, left: time.Second},
		"silent":                       {heard: time.Hour, sent: watchInterval, left: time.Second, silent: true},
		"silent since an answer":       {heard: watchInterval, sent: time.Second, left: time.Second, silent: true},
		"over, others are answered":    {heard: time.Millisecond, sent: time.Second, left: -stuckTime},
		"over for long":                {heard: 0, sent: time.Minute, left: -stuckTime - 1, want: "stuck on a step"},
		"over and nothing since":       {heard: 2 * time.Second, sent: time.Second, left: -lateTime, want: "said nothing since"},
		"over, but just sent":          {heard: 2 * time.Second, sent: hungTime - 1, left: -lateTime, silent: true},
		"over, the answer on its way":  {heard: 2 * time.Second, sent: time.Second, left: -lateTime + 1, silent: true},
		"at its deadline, nothing yet": {heard: 2 * time.Second, sent: time.Second, left: 0, silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := &link{heard: ago(test.heard), sent: map[uint64]*call{
				1: {sentAt: ago(test.sent), deadline: now.Add(test.left)}}}
			silent, err := l.look(now)
			if silent != test.silent || (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v", silent, err)
			}
		})
	}
	if silent, err := (&link{}).look(now); silent || err != nil {
		t.Errorf("an idle link: %v, %v", silent, err)
	}
}

// Callers that give up leave nothing behind: what they sent may be overwritten, and there is
// room for as many again and again.
func TestGivingUpLeavesNothingBehind(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, Spec{Name: "a", Validator: "echo"}).Groups()[0]
	const callers = 8
	each := repetitions(t, maxInFlight, 2*maxInFlight/callers) // twice the room there is
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
			g := startSet(t, h, Spec{Name: "a", Validator: "hang", Settings: []byte(`{"step":3}`)}).Groups()[0]
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

// A queue of any sizes leaves in order, in messages within the limit.
func TestNextBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, sdk.MaxBatchBytes/3), 0, 20).Draw(t, "sizes")
		sizes = append(sizes, make([]int, rapid.SampledFrom([]int{0, 3 * sdk.MaxBatchCalls}).Draw(t, "many"))...)
		late := rapid.IntRange(0, 3).Draw(t, "late")
		l := &link{slots: make(chan struct{}, maxInFlight), wake: make(chan struct{}, 1), sent: map[uint64]*call{}}
		for i := range len(sizes) + late {
			c := &call{message: &validatorv1.StepCall{}, deadline: time.Now()}
			if i < len(sizes) {
				c.deadline = c.deadline.Add(time.Hour)
				c.message = sdk.EncodeCall(validator.Session{}, nil, validator.Step{ID: int64(i), Data: make([]byte, sizes[i])})
			}
			l.slots <- struct{}{}
			l.enqueue(c)
		}
		step := int64(0)
		for batch := l.next(); len(batch) > 0; batch = l.next() {
			if n := proto.Size(&validatorv1.JudgeRequest{Calls: batch}); len(batch) > sdk.MaxBatchCalls || n > sdk.MaxMessageBytes {
				t.Fatalf("%d steps in %d bytes", len(batch), n)
			}
			for _, c := range batch {
				if c.GetStep().GetId() != step || c.GetCall() != uint64(step)+1 || c.GetBudgetNs() < 1 {
					t.Fatalf("step %d as call %d with budget %d, want step %d", c.GetStep().GetId(), c.GetCall(), c.GetBudgetNs(), step)
				}
				step++
			}
		}
		if step != int64(len(sizes)) || len(l.queue) != 0 || len(l.sent) != len(sizes) || len(l.slots) != len(sizes) {
			t.Fatalf("%d of %d steps sent, %d in the queue, %d open, %d slots", step, len(sizes), len(l.queue), len(l.sent), len(l.slots))
		}
	})
}

func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const least, most, lasting = 100 * time.Millisecond, 30 * time.Second, 2 * time.Second
		b := newBackoff(Options{BackoffMin: least, BackoffMax: most, Lasting: lasting})
		failures, now, useful := 0, time.Now(), 0
		for range 100 {
			last := life{rapid.SampledFrom([]time.Duration{0, lasting - 1, lasting}).Draw(t, "served"),
				rapid.Uint64Range(0, 2*usefulVerdicts).Draw(t, "verdicts")}
			wait := b.next(now, last, rapid.Float64Range(0, 0.999).Draw(t, "random"))
			if last.served >= lasting {
				failures = 0
			} else if last.verdicts >= usefulVerdicts && useful < usefulBurst { // time stands still
				failures, useful = 0, useful+1
			}
			failures++
			base := time.Duration(0)
			for i := 1; i < failures; i++ {
				base = min(max(2*base, least), most)
			}
			if wait < base || wait > min(base+base/2, most) {
				t.Fatalf("wait %v after %d failures, want %v and up to half more", wait, failures, base)
			}
		}
	})
}

func TestP08CrashingStepsSlowDown(t *testing.T) {
	h, _ := newTestHost(t, func(o *Options) { o.BackoffMin, o.Lasting = time.Hour, time.Hour; o.BackoffMax = time.Hour })
	set := startSet(t, h, Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`)})
	g := set.Groups()[0]
	within(t, patience, g, 3) // ends the first process and the second, which came at once
	eventually(t, "the third waits", func() bool { return set.Status()[0].State == BackingOff })
	a := within(t, 50*time.Millisecond, g, 1)[0]
	if a.Err == nil || !strings.Contains(a.Err.Error(), "the plugin is being started again: no verdict within 50ms") {
		t.Errorf("got %+v", a)
	}
	if st := set.Status()[0]; st.Restarts != 1 || st.PID != 0 || st.LastError != "the plugin process ended: exit status 3" {
		t.Errorf("status = %+v", st)
	}
}

func TestAFullLinkSaysSo(t *testing.T) {
	l := &link{slots: make(chan struct{}), lost: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.slot(ctx); err == nil || err.Error() != fmt.Sprintf("%d steps wait for the plugin: context canceled", maxInFlight) {
		t.Errorf("got %v", err)
	}
	l.err = errStopped
	close(l.lost)
	var lost *lostError
	if err := l.slot(t.Context()); !errors.As(err, &lost) {
		t.Errorf("got %v", err)
	}
}
