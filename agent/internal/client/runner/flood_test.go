package runner_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
)

// unasked is a reply to nothing that was asked.
const unasked = `{"step_id":1,"error_code":0,"req":"unknown"}`

// What an agent sends besides the replies does not make the record grow: past the limit it is
// counted, and every step has the outcome that it would have without it.
func TestFloodIsCountedAndNotKept(t *testing.T) {
	const limit, sent = 5, 2000
	flood := func(text string) func(*peer) {
		return func(p *peer) {
			p.send(echoed)
			for range sent {
				p.send(text)
			}
		}
	}
	for name, text := range map[string]string{"duplicates": echoed, "replies to nothing": unasked} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				act := flood(text)
				run, events := perform(t, procedure(1, 2, 3), runner.Options{MaxStrays: limit},
					each(act, act, func(p *peer) { p.sendAfter(0, echoed) }))
				if run.Verdict != record.Pass {
					t.Errorf("the verdict is %v, outcomes %s", run.Verdict, outcomes(run))
				}
				if len(run.Strays) != limit || run.Unasked() != 2*sent {
					t.Errorf("%d strays are kept and %d counted in all, want %d and %d",
						len(run.Strays), run.Unasked(), limit, 2*sent)
				}
				// One at once, and one before each event of a step after it: the interval and
				// the reply, twice.
				if n := strings.Count(events, "dropped"); n < 2 || n > 5 {
					t.Errorf("%d events tell of what was dropped:\n%s", n, events)
				}
			})
		})
	}
}

// The first message that is dropped is on record before anything else happens, so that the
// record of a client that is killed does not look whole.
func TestFirstDroppedMessageIsRecordedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, events := perform(t, procedure(1), runner.Options{MaxStrays: 1},
			each(func(p *peer) {
				p.sendAfter(time.Second, unasked+unasked+unasked+unasked)
				p.sendAfter(2*time.Second, echoed)
			}))
		expect(t, events, "0s start", "0s sent 1/1", "1s stray unsolicited", "1s dropped", "2s dropped",
			"2s reply 1/1 took 2s code 0", "2s end finished")
	})
}

// A late reply has its step's room and is kept however many strays there were.
func TestLateReplyIsKeptInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, _ := perform(t, procedure(1, 2, 3), runner.Options{MaxStrays: 1}, each(good,
			func(p *peer) {
				for range 10 {
					p.send(unasked)
				}
				p.sendAfter(5500*time.Millisecond, echoed)
			}, good))
		if run.Steps[1].Late == nil || run.Dropped != 9 {
			t.Errorf("late reply %v, %d dropped", run.Steps[1].Late, run.Dropped)
		}
	})
}
