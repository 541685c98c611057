package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
)

// maxBudget is the time for a step whose context has no deadline.
const maxBudget = 30 * time.Second

// errClosed is what steps get from a set that is closed.
var errClosed = errors.New("the validators are stopped")

// A group is a judge.Group: neighbouring validators in one process at a time.
type group struct {
	names []string
	first []judge.Expectation

	phase  atomic.Pointer[phase]
	steps  atomic.Uint64
	errors atomic.Uint64
	judged atomic.Uint64 // steps that a process answered
	took   latencies     // of those

	logger      *slog.Logger
	shadowEvery uint64
	shadows     shadows
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
	g := &group{first: first, shadowEvery: uint64(members[0].ShadowEvery)}
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

// Names implements judge.Group.
func (g *group) Names() []string { return g.names }

// First implements judge.Group.
func (g *group) First() []judge.Expectation { return g.first }

// Judge implements judge.Group. It reads call.States, which nobody may change later.
func (g *group) Judge(ctx context.Context, call judge.Call) []judge.Answer {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxBudget)
		defer cancel()
	}
	number, began := g.steps.Add(1), time.Now()
	deadline, _ := ctx.Deadline()
	answers, err := g.answers(ctx, call)
	g.note(noted{number, deadline.Sub(began), time.Since(began)}, call, answers, err)
	return answers
}

// answers returns one answer for each validator, and why no process gave any.
func (g *group) answers(ctx context.Context, call judge.Call) ([]judge.Answer, error) {
	answers, err := g.ask(ctx, call, nil, nil)
	if err != nil {
		answers = g.undecided(err)
	}
	return answers, err
}

func (g *group) undecided(err error) []judge.Answer {
	return slices.Repeat([]judge.Answer{{Err: err}}, len(g.names))
}

// noted is what a group keeps of a step: the how manieth it was, how long its answers could take and
// how long they took.
type noted struct {
	number      uint64
	limit, took time.Duration
}

// note counts what has become of a step, and has it judged by the shadow where it is the turn of
// its number.
func (g *group) note(step noted, call judge.Call, answers []judge.Answer, err error) {
	if err == nil {
		g.judged.Add(1)
		g.took.add(step.took)
	}
	if slices.ContainsFunc(answers, func(a judge.Answer) bool { return a.Err != nil }) {
		g.errors.Add(1)
	}
	if g.shadowEvery > 0 && step.number%g.shadowEvery == 0 {
		g.shadow(step.limit, call, answers)
	}
}

// ask puts the step to the process, and once more to the next one when that is lost: whoever
// lost it, it was not the client. A step that is there at the end of two processes may be
// the cause and gets no third. Lost is not nil when p, a phase, was the first of them.
func (g *group) ask(ctx context.Context, call judge.Call, p *phase, lost *lostError) ([]judge.Answer, error) {
	for {
		if lost != nil {
			select {
			case <-p.over:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		var err error
		if p, err = g.serving(ctx); err != nil {
			return nil, err
		}
		answers, err := p.link.judge(ctx, call)
		if err == nil {
			return answers, nil
		}
		again := lost != nil
		if !errors.As(err, &lost) {
			return nil, err
		}
		if again {
			return nil, fmt.Errorf("two processes were lost over this step: %w", lost)
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
