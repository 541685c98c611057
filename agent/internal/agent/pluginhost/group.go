package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// maxBudget is the time for a step whose context has no deadline.
const maxBudget = 30 * time.Second

// errClosed is what steps get from a set that is closed.
var errClosed = errors.New("the validators are stopped")

// A group is neighbouring validators, in one process at a time. It is a verdictcache.Group.
type group struct {
	names []string
	first []judge.Expectation

	phase  atomic.Pointer[phase]
	steps  atomic.Uint64 // steps that were put to it
	errors atomic.Uint64 // those for which some validator gave no verdict
	judged atomic.Uint64 // those that a process answered
	took   latencies     // of those

}

// A phase is a time in which the group has one process, or none. It does not change; the
// next takes its place.
type phase struct {
	link    *link         // nil while no process serves
	refusal error         // then: why nobody should wait for one
	closed  bool          // no process will ever serve again
	over    chan struct{} // closed when the next phase has begun
}

func newGroup(members []member, first []judge.Expectation) *group {
	g := &group{first: first}
	for _, m := range members {
		g.names = append(g.names, m.Name)
	}
	return g
}

// enter begins a phase. Only the supervisor does so.
func (g *group) enter(next *phase) {
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
		g.took.add(time.Since(began))
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
	answers, err := g.ask(ctx, call)
	if err != nil {
		answers = g.undecided(err)
	}
	return answers, err
}

func (g *group) undecided(err error) []judge.Answer {
	return slices.Repeat([]judge.Answer{{Err: err}}, len(g.names))
}

// ask puts the step to the process, and once more to the next one when that is lost: whatever
// lost it, it was not the client. A step that is there at the end of two processes may be the
// cause and gets no third.
func (g *group) ask(ctx context.Context, call judge.Call) ([]judge.Answer, error) {
	for again := false; ; again = true {
		p, err := g.serving(ctx)
		if err != nil {
			return nil, err
		}
		answers, err := p.link.judge(ctx, call)
		var lost *lostError
		if !errors.As(err, &lost) {
			return answers, err
		}
		if again {
			return nil, fmt.Errorf("two processes were lost over this step: %w", lost)
		}
		select {
		case <-p.over:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// serving waits for a process that serves.
func (g *group) serving(ctx context.Context) (*phase, error) {
	for {
		p := g.phase.Load()
		if p.link != nil {
			return p, nil
		}
		if p.closed {
			return nil, errClosed
		}
		if p.refusal != nil {
			return nil, p.refusal
		}
		select {
		case <-p.over:
		case <-ctx.Done():
			return nil, fmt.Errorf("the plugin is being started again: %w", context.Cause(ctx))
		}
	}
}
