package verdictcache

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

const (
	// maxRechecks bounds the steps that are being judged again. While the bound is reached, no
	// further step is.
	maxRechecks = 64
	// recheckTime is how long a step that is judged again may take: as long as any step may.
	recheckTime = 30 * time.Second
)

// rechecks are the steps that are being judged again. The zero value is ready.
type rechecks struct {
	mu      sync.Mutex
	closed  bool
	running int
	done    sync.WaitGroup
}

// begin reports whether one more may run.
func (r *rechecks) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.running == maxRechecks {
		return false
	}
	r.running++
	r.done.Add(1)
	return true
}

func (r *rechecks) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	r.done.Done()
}

// close lets no further one begin and returns when none runs.
func (r *rechecks) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.done.Wait()
}

// recheck has a step that was answered in a generation judged again behind its reply, and compares.
// A validator that says something else is not pure: after a crash, or in an examination of the
// evidence, it would give another verdict, and a verdict of it that is kept may have been a slip.
func (c *Cache) recheck(g *generation, call judge.Call, first []judge.Answer) {
	if !c.rechecks.begin() {
		return
	}
	// The caller may use these for something else.
	call.Step.Data, call.States, first = bytes.Clone(call.Step.Data), slices.Clone(call.States), slices.Clone(first)
	go func() {
		defer c.rechecks.end()
		ctx, cancel := context.WithTimeout(context.Background(), recheckTime)
		defer cancel()
		second, err := c.group.Again(ctx, call)
		if err != nil {
			return
		}
		if i := differing(first, second); i >= 0 {
			c.distrust(g, call, i, first[i], second[i])
		}
	}()
}

// differing returns the first validator that gave two verdicts; -1 when none did. Of an undecided
// one nothing can be said: it may have had too little time.
func differing(first, second []judge.Answer) int {
	for i, a := range first {
		b := second[i]
		if a.Err == nil && b.Err == nil && (a.Expects != b.Expects || !reflect.DeepEqual(a.Verdict, b.Verdict)) {
			return i
		}
	}
	return -1
}

// distrust notes that a validator gave two verdicts, and keeps nothing any more.
// Other validators may have taken the place of those that were asked first.
func (c *Cache) distrust(g *generation, call judge.Call, i int, first, second judge.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation.Load() != g {
		return
	}
	if g.table != nil {
		c.generation.Store(&generation{})
	}
	if c.differing.Add(1) > 1 {
		return
	}
	c.options.Logger.Error("a validator gave two verdicts for one step; its verdicts are no longer kept",
		slog.String("validator", c.Names()[i]), slog.Int64("step_id", call.Step.ID),
		slog.String("first", tell(first)), slog.String("second", tell(second)))
}

// tell is a verdict for people.
func tell(a judge.Answer) string {
	text := a.Verdict.Outcome.String()
	if a.Verdict.Reason != "" {
		text += " " + string(a.Verdict.Reason) + ": " + a.Verdict.Detail
	}
	return text
}
