package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/latency"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/stream"
)

// maxBudget is the time for a step whose context has no deadline.
const maxBudget = 30 * time.Second

// errClosed is the error of steps after Set.Close.
var errClosed = errors.New("the validators are stopped")

// A group is neighbouring validators, in one process at a time. It is a verdictcache.Group.
type group struct {
	names []string
	spec  Spec // the first
	first []judge.Expectation

	phase  atomic.Pointer[phase]
	steps  atomic.Uint64     // steps that were asked for
	errors atomic.Uint64     // those for which some validator gave no verdict
	judged atomic.Uint64     // those that a process answered
	took   latency.Histogram // of those
	queued latency.Histogram // how long those waited before they were sent to it
}

// A phase is a time in which the group has one process, or none. It is immutable; the supervisor
// replaces it by the next.
type phase struct {
	stream  *stream.Stream // nil while no process serves
	refusal error          // then: why steps do not wait for one
	closed  bool           // no process will ever serve again
	over    chan struct{}  // closed when the next phase has begun
}

func newGroup(members []member, first []judge.Expectation) *group {
	g := &group{first: first, spec: members[0].Spec}
	for _, m := range members {
		g.names = append(g.names, m.Name)
	}
	return g
}

// setPhase begins a phase. Only the supervisor calls it.
func (g *group) setPhase(next *phase) {
	next.over = make(chan struct{})
	if last := g.phase.Swap(next); last != nil {
		close(last.over)
	}
}

// Names implements verdictcache.Group.
func (g *group) Names() []string { return g.names }

// First implements verdictcache.Group.
func (g *group) First() []judge.Expectation { return g.first }

// Judge implements verdictcache.Group.
func (g *group) Judge(ctx context.Context, call judge.Call) []judge.Answer {
	g.steps.Add(1)
	began := time.Now()
	answers, err := g.Again(ctx, call)
	if err == nil {
		g.judged.Add(1)
		g.took.Add(time.Since(began))
		g.queued.Add(answers[0].Queued) // of all validators together
	}
	if slices.ContainsFunc(answers, func(a judge.Answer) bool { return a.Err != nil }) {
		g.errors.Add(1)
	}
	return answers
}

// Again implements verdictcache.Group: it returns one answer for each validator, and why no
// process gave any.
func (g *group) Again(ctx context.Context, call judge.Call) ([]judge.Answer, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxBudget)
		defer cancel()
	}
	answers, err := g.judgeWithRetry(ctx, call)
	if err != nil {
		answers = slices.Repeat([]judge.Answer{{Err: err}}, len(g.names))
	}
	for i, a := range answers {
		if a.Err != nil {
			answers[i].Err = g.spec.hidden(a.Err)
		}
	}
	return answers, err
}

// judgeWithRetry sends the step to the process, and once more to the next one when that is lost, which
// is no fault of the client's. A step with which two processes were lost may be the cause and is not
// sent to a third.
func (g *group) judgeWithRetry(ctx context.Context, call judge.Call) ([]judge.Answer, error) {
	for retry := false; ; retry = true {
		p, err := g.awaitProcess(ctx)
		if err != nil {
			return nil, err
		}
		answers, err := p.stream.Judge(ctx, call)
		lost, isLost := errors.AsType[*stream.LostError](err)
		if !isLost {
			return answers, err
		}
		if retry {
			return nil, fmt.Errorf("two processes were lost over this step: %w", lost)
		}
		select {
		case <-p.over:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// awaitProcess waits for a phase in which a process serves.
func (g *group) awaitProcess(ctx context.Context) (*phase, error) {
	for {
		p := g.phase.Load()
		switch {
		case p.stream != nil:
			return p, nil
		case p.closed:
			return nil, errClosed
		case p.refusal != nil:
			return nil, p.refusal
		}
		select {
		case <-p.over:
		case <-ctx.Done():
			return nil, fmt.Errorf("the plugin is being started again: %w", context.Cause(ctx))
		}
	}
}
