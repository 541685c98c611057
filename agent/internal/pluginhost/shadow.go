package pluginhost

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
)

const (
	// maxShadows is how many steps of a group may be judged again at the same time; with so
	// many, further ones are not.
	maxShadows = 64
	// shadowTime is how long judging a step again may take at least. It may always take as long as
	// the step itself: whoever has left that unanswered for so long is taken to hang.
	shadowTime = time.Second
)

// shadows are steps that are judged a second time, after their answer has gone, to find a
// validator that does not always say the same: after a crash, or in an examination of the
// evidence, it would give another verdict. The zero value is ready.
type shadows struct {
	differ atomic.Uint64 // steps that got two verdicts

	mu      sync.Mutex
	closed  bool
	running int
	done    sync.WaitGroup
}

// begin reports whether one more may run.
func (s *shadows) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.running == maxShadows {
		return false
	}
	s.running++
	s.done.Add(1)
	return true
}

func (s *shadows) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.done.Done()
}

// close lets no further one begin and returns when none runs.
func (s *shadows) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.done.Wait()
}

// shadow has the step, which had so long, judged again and compares. Nobody waits for that.
func (g *group) shadow(limit time.Duration, call judge.Call, first []judge.Answer) {
	s := &g.shadows
	if !s.begin() {
		return
	}
	// The caller may use these for something else.
	call.Step.Data, call.States, first = bytes.Clone(call.Step.Data), slices.Clone(call.States), slices.Clone(first)
	go func() {
		defer s.end()
		ctx, cancel := context.WithTimeout(context.Background(), max(limit, shadowTime))
		defer cancel()
		second, err := g.answers(ctx, call)
		if err != nil {
			return
		}
		for i, a := range first {
			// Who is undecided may be so for want of time, and how long it took says nothing.
			a.Queued, second[i].Queued = 0, 0
			if a.Err != nil || second[i].Err != nil || reflect.DeepEqual(a, second[i]) {
				continue
			}
			if s.differ.Add(1) == 1 {
				g.logger.Error("a validator gave two verdicts for one step", slog.String("validator", g.names[i]),
					slog.Int64("step_id", call.Step.ID), slog.String("first", tell(a)), slog.String("second", tell(second[i])))
			}
			return
		}
	}()
}

// tell is a verdict for people.
func tell(a judge.Answer) string {
	text := a.Verdict.Outcome.String()
	if a.Verdict.Reason != "" {
		text += " " + string(a.Verdict.Reason) + ": " + a.Verdict.Detail
	}
	return text
}
