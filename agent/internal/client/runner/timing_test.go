package runner_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
)

func TestIntervalIsKeptOnceAfterEachStepButTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, got := perform(t, procedure(1, 2, 3), runner.Options{},
			each(says(echoed, 2*time.Second), says(`{"step_id":$ID,"error_code":1,"req":$REQ}`, 0), good))
		expect(t, got, "0s start",
			"0s sent 1/1", "2s reply 1/1 took 2s code 0", "3s interval 1/1 kept 1s",
			"3s sent 2/2", "3s reply 2/2 took 0s code 1", "4s interval 2/2 kept 1s",
			"4s sent 3/3", "4s reply 3/3 took 0s code 0", "4s end finished")
		if run.Verdict != record.Fail || run.Steps[1].Outcome != record.Failed {
			t.Errorf("%+v", run)
		}
	})
}

// The interval counts from the expiry of a step, too.
func TestIntervalAfterATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, got := perform(t, procedure(1, 2), runner.Options{}, each(silent), each(good))
		expect(t, got, "0s start",
			"0s sent 1/1", "5s timeout 1/1 took 5s", "6s interval 1/1 kept 1s",
			"6s sent 2/2", "6s reply 2/2 took 0s code 0", "6s end finished")
		if run.Verdict != record.Fail {
			t.Errorf("verdict %v", run.Verdict)
		}
	})
}

func TestIntervalOfZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := procedure(1, 2)
		p.Steps[0].Interval = 0
		run, got := perform(t, p, runner.Options{OnInterval: func(int, int64, time.Duration) {
			t.Error("there is nothing to wait for")
		}}, each(good))
		expect(t, got, "0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "0s interval 1/1 kept 0s",
			"0s sent 2/2", "0s reply 2/2 took 0s code 0", "0s end finished")
		if run.Verdict != record.Pass {
			t.Errorf("verdict %v", run.Verdict)
		}
	})
}

func TestOnIntervalTellsWhenTheWaitBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		calls := 0
		perform(t, procedure(7, 8), runner.Options{OnInterval: func(index int, stepID int64, d time.Duration) {
			calls++
			if index != 1 || stepID != 7 || d != time.Second || time.Since(began) != 2*time.Second {
				t.Errorf("step %d/%d, %v, at %v", index, stepID, d, time.Since(began))
			}
		}}, each(says(echoed, 2*time.Second)))
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

// A reply passes a nanosecond before the deadline; exactly at it, and after it, it is late.
func TestReplyAtTheDeadline(t *testing.T) {
	tests := []struct {
		name  string
		after time.Duration
		lines []string
	}{
		{"before", 5*time.Second - 1, []string{"10.999999999s reply 2/2 took 4.999999999s code 0",
			"11.999999999s interval 2/2 kept 1s", "11.999999999s sent 3/3", "11.999999999s reply 3/3 took 0s code 0",
			"11.999999999s end finished"}},
		{"at", 5 * time.Second, []string{"11s timeout 2/2 took 5s", "11s late 2/2 took 5s code 0",
			"12s interval 2/2 kept 1s", "12s sent 3/3", "12s reply 3/3 took 0s code 0", "12s end finished"}},
		{"after", 5*time.Second + 1, []string{"11s timeout 2/2 took 5s", "11.000000001s late 2/2 took 5.000000001s code 0",
			"12s interval 2/2 kept 1s", "12s sent 3/3", "12s reply 3/3 took 0s code 0", "12s end finished"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // whichever goroutine is first at the deadline
				synctest.Test(t, func(t *testing.T) {
					p := procedure(1, 2, 3)
					p.Steps[0].Timeout = 6 * time.Second
					run, got := perform(t, p, runner.Options{},
						each(says(echoed, 5*time.Second), says(echoed, tt.after), good))
					expect(t, got, append([]string{"0s start", "0s sent 1/1", "5s reply 1/1 took 5s code 0",
						"6s interval 1/1 kept 1s", "6s sent 2/2"}, tt.lines...)...)
					if (run.Verdict == record.Pass) != (tt.name == "before") {
						t.Errorf("verdict %v", run.Verdict)
					}
				})
			}
		})
	}
}

func TestTimeoutOfZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := procedure(1)
		p.Steps[0].Timeout = 0
		run, got := perform(t, p, runner.Options{}, each(good))
		expect(t, got, "0s start", "0s sent 1/1", "0s timeout 1/1 took 0s", "0s end finished")
		if run.Verdict != record.Fail {
			t.Errorf("verdict %v", run.Verdict)
		}
	})
}

// The making of a connection is no part of the step's timeout.
func TestSlowConnectionDoesNotCostTheStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := runner.Options{DialTimeout: time.Minute}
		_, got := performSlowly(t, 30*time.Second, opts)
		expect(t, got, "0s start", "30s sent 1/1", "34s reply 1/1 took 4s code 0", "34s end finished")
	})
	synctest.Test(t, func(t *testing.T) {
		run, got := performSlowly(t, 30*time.Second, runner.Options{})
		expect(t, got, "0s start", "5s unreachable 1/1", "5s end lost")
		if !run.Unreached() {
			t.Error("the agent is said to have been reached")
		}
	})
}

func performSlowly(t *testing.T, slow time.Duration, opts runner.Options) (record.Run, string) {
	var events []record.Event
	quick := dialer(each(says(echoed, 4*time.Second)))
	opts.Address = "agent:8080"
	opts.Emit = func(e record.Event) { events = append(events, e) }
	opts.Dial = slowly(slow, quick)
	run, err := runner.Run(t.Context(), procedure(1), opts)
	if err != nil {
		t.Fatal(err)
	}
	return run, trace(events)
}

func TestInterruption(t *testing.T) {
	tests := []struct {
		name  string
		after time.Duration
		lines []string
		want  record.Outcome
	}{
		{"in a step", 3*time.Second + 1, []string{"3s sent 2/2", "3.000000001s end interrupted"}, record.Unanswered},
		{"in an interval", 2*time.Second + 1, []string{"2.000000001s interval 1/1 kept 1ns", "2.000000001s end interrupted"}, record.NotRun},
	}
	ends := map[string]func(context.Context, time.Duration) (context.Context, context.CancelFunc){
		"cancelled": func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(d, cancel)
			return ctx, cancel
		},
		"out of time": context.WithTimeout,
	}
	for how, end := range ends {
		for _, tt := range tests {
			t.Run(tt.name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := end(t.Context(), tt.after)
					defer cancel()
					run, got := performWithin(ctx, t, procedure(1, 2), runner.Options{},
						each(says(echoed, 2*time.Second)))
					// The first step and its interval, as far as they came.
					head := []string{"0s start", "0s sent 1/1", "2s reply 1/1 took 2s code 0"}
					if tt.want == record.Unanswered {
						head = append(head, "3s interval 1/1 kept 1s")
					}
					expect(t, got, append(head, tt.lines...)...)
					if run.Verdict != record.Undecided || run.Cause != record.Interrupted || run.Steps[1].Outcome != tt.want {
						t.Errorf("%+v", run)
					}
					time.Sleep(time.Minute) // until the agent has said all
				})
			})
		}
	}
}

func TestInterruptionBeforeTheFirstStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var events []record.Event
		run, err := runner.Run(ctx, procedure(1), runner.Options{Address: "agent:8080",
			Dial: slowly(time.Minute, nil), Emit: func(e record.Event) { events = append(events, e) }})
		expect(t, trace(events), "0s start", "1s end interrupted")
		if err != nil || run.Verdict != record.Undecided || run.Unreached() {
			t.Errorf("%+v, error %v", run, err)
		}
	})
}

// Who ends the run as it starts wants nothing sent.
func TestInterruptionAtTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var events []record.Event
	_, err := runner.Run(ctx, procedure(1), runner.Options{Address: "agent:8080",
		Dial: func(context.Context, string, string) (net.Conn, error) {
			t.Error("a connection is made")
			return nil, net.ErrClosed
		},
		Emit: func(e record.Event) {
			events = append(events, e)
			cancel()
		}})
	if err != nil || len(events) != 2 || events[1].End.Cause != record.Interrupted {
		t.Errorf("%s, error %v", trace(events), err)
	}
}
