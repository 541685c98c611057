package runner_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
)

// For all messages of an agent, at any time: the events are a record that can be read again, the run
// comes to an end, and a step passes only by a reply that was made for it and came in time.
// The agent writes into each reply which request it was made for.
func TestAnyAgent(t *testing.T) {
	replies := []string{echoed, echoed, echoed, bare, `{"step_id":$ID,"error_code":1,"req":$REQ}`,
		`{"step_id":9,"error_code":0,"req":$REQ}`, `{"step_id":null,"error_code":0}`, `{"step_id":null,"error_code":1}`,
		`{"step_id":$ID,"error_code":0,"req":1}`, `{"step_id":$ID}`, `{"step_id":$ID,"error_code":0,"session":"x"}`, "[]"}
	times := []time.Duration{0, 1, time.Second, 5*time.Second - 1, 5 * time.Second, 5*time.Second + 1, 6 * time.Second, 12 * time.Second}
	type act struct {
		Reply  string
		Times  []time.Duration
		HangUp bool
	}
	acts := rapid.Custom(func(t *rapid.T) act {
		return act{rapid.SampledFrom(replies).Draw(t, "reply"),
			rapid.SliceOfN(rapid.SampledFrom(times), 0, 2).Draw(t, "times"),
			rapid.IntRange(0, 9).Draw(t, "hang up") == 0}
	})
	passes := 0
	rapid.Check(t, func(t *rapid.T) {
		p := procedure(rapid.SliceOfN(rapid.Int64Range(1, 2), 0, 6).Draw(t, "ids")...)
		plan := rapid.SliceOfN(acts, len(p.Steps)+1, len(p.Steps)+1).Draw(t, "plan")
		for i := range p.Steps {
			p.Steps[i].Data = fmt.Appendf(nil, `{"n":%d}`, i+1)
			p.Steps[i].Interval = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "interval")
		}
		reachable := rapid.SliceOfN(rapid.IntRange(0, 7), 20, 20).Draw(t, "unreachable when 0")
		if rapid.IntRange(0, 3).Draw(t, "good agent when 0") == 0 {
			for i := range plan {
				plan[i] = act{Reply: rapid.SampledFrom([]string{echoed, bare}).Draw(t, "good reply"), Times: times[:1]}
			}
			for i := range reachable {
				reachable[i] = 1
			}
		}
		limit := rapid.SampledFrom([]time.Duration{time.Hour, 7 * time.Second}).Draw(t, "limit")
		fallbacks := []string{"b:8080", "c:8080"}[:rapid.IntRange(0, 2).Draw(t, "fallbacks")]
		retryFor := rapid.SampledFrom([]time.Duration{-1, time.Second, time.Minute}).Draw(t, "retry for")
		rapid.SyncTest(t, func(t *rapid.T) {
			serve := func(peer *peer) {
				for peer.next() {
					var n int
					if _, err := fmt.Sscanf(string(peer.last.Data), `{"n":%d}`, &n); err != nil {
						panic(err)
					}
					reply := plan[n].Reply
					if last := len(reply) - 1; reply[last] == '}' {
						reply = fmt.Sprintf(`%s,"detail":"%d"}`, reply[:last], n)
					}
					for _, at := range plan[n].Times {
						peer.sendAfter(at, reply)
					}
					if plan[n].HangUp {
						return
					}
				}
			}
			var agents []script
			for _, r := range reachable {
				if r == 0 {
					agents = append(agents, nil)
				} else {
					agents = append(agents, serve)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			run, _ := performWithin(ctx, t, p, runner.Options{RetryFor: retryFor, Fallbacks: fallbacks}, agents...)
			for i, step := range run.Steps {
				if step.Outcome == record.Passed && (step.Reply.Detail != fmt.Sprint(i+1) || step.Took >= step.Timeout) {
					t.Fatalf("step %d passed by %+v after %v", i+1, step.Reply, step.Took)
				}
			}
			if run.Verdict == record.Pass {
				passes++
			}
			time.Sleep(time.Minute) // until the agent has said all
		})
	})
	if passes == 0 && !testing.Short() { // the few rounds of a short test may hold none
		t.Error("no run passed")
	}
}
