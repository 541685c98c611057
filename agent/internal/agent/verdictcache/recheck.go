package verdictcache

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

const (
	// maxRechecks bounds the steps that are being judged again; further ones are not.
	maxRechecks = 64
	// recheckTimeout is the longest time that any step may take.
	recheckTimeout = 30 * time.Second
)

// recheck judges a step again, after its reply, and compares the answers. A validator whose answers
// differ is not pure: after a crash, or when the evidence is examined, it would give another verdict.
func (c *Cache) recheck(g *generation, call judge.Call, first []judge.Answer) {
	select {
	case c.rechecking <- struct{}{}:
	default:
		return
	}
	// The caller may reuse these.
	call.Step.Data, call.States, first = bytes.Clone(call.Step.Data), slices.Clone(call.States), slices.Clone(first)
	go func() {
		defer func() { <-c.rechecking }()
		ctx, cancel := context.WithTimeout(context.Background(), recheckTimeout)
		defer cancel()
		second, err := c.Again(ctx, call)
		if err != nil {
			return
		}
		if i := differing(first, second); i >= 0 {
			c.reportDiffering(g, call, i, first[i], second[i])
		}
	}()
}

// differing returns the first validator that gave two verdicts; -1 when none did. An undecided answer
// does not count: the validator may have had too little time.
func differing(first, second []judge.Answer) int {
	for i, a := range first {
		b := second[i]
		if a.Err == nil && b.Err == nil && (a.Expects != b.Expects || !reflect.DeepEqual(a.Verdict, b.Verdict)) {
			return i
		}
	}
	return -1
}

// reportDiffering logs and counts a validator that gave two verdicts, and drops the cache for good,
// unless the validators of that generation have been replaced since.
func (c *Cache) reportDiffering(g *generation, call judge.Call, i int, first, second judge.Answer) {
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
		slog.String("first", verdictText(first)), slog.String("second", verdictText(second)))
}

func verdictText(a judge.Answer) string {
	text := a.Verdict.Outcome.String()
	if a.Verdict.Reason != "" {
		text += " " + string(a.Verdict.Reason) + ": " + a.Verdict.Detail
	}
	return text
}
