package judge

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A Group is neighbouring validators of one plugin, which answer together in one round
// trip. Its methods may be called by many goroutines at once.
type Group interface {
	// Names returns the validators' names in the config's order. Each is unique in a chain.
	Names() []string
	// First returns, for each validator, the step that must begin a session.
	First() []Expectation
	// Judge returns one answer for each validator. It returns when the context ends at the
	// latest.
	Judge(ctx context.Context, call Call) []Answer
	// Try returns the answers where they are at hand. It does not wait, and counts nothing: they
	// may still be asked for by Judge. The call is good until it returns; the slice is shared, and
	// not to be written to.
	Try(call *Call) (answers []Answer, ok bool)
	// Tried notes that a step was judged by answers of Try. The call is good until it returns.
	Tried(call *Call, answers []Answer)
}

// A Call is one step put to a group.
type Call struct {
	// Session is without ID and State: no verdict depends on the one, and each validator has
	// its own of the other.
	Session validator.Session
	// States holds one State for each validator of the group.
	States [][]byte
	Step   validator.Step
	// Fresh wants answers that are made for this step, and none that are kept.
	Fresh bool
}

// An Answer is what one validator says of one step.
type Answer struct {
	Verdict validator.Verdict
	// Expects is the step that must come next.
	Expects Expectation
	// Err says why the verdict is undecided; nil otherwise.
	Err error
	// Queued is how long the step waited in the agent before it was sent to the validator.
	Queued time.Duration
	// Kept says that the answer was given before, for the same inputs.
	Kept bool
}

// A Chain is the validators in force, in the config's order. It does not change once made
// and is safe for concurrent use.
type Chain struct {
	options Options
	groups  []Group
	first   Expectation
	users   atomic.Int64 // steps being judged, and 1 while in force; 0 is for ever
	drained chan struct{}
	trials  sync.Pool // of *trial
}

// Options are what a chain needs to know beside its validators.
type Options struct {
	// Generation tells chains apart; it goes up by one with each.
	Generation uint64
	Limits     Limits
	// Timed has judgements say how long each group took.
	Timed bool
	// AllowFaults lets validators ask for misbehaviour.
	AllowFaults bool
}

// NewChain returns a chain of the groups.
func NewChain(options Options, groups ...Group) *Chain {
	c := &Chain{options: options, groups: groups, first: first(groups), drained: make(chan struct{})}
	c.users.Store(1)
	c.trials.New = func() any { return new(trial) }
	return c
}

// Generation returns the chain's number.
func (c *Chain) Generation() uint64 { return c.options.Generation }

// Groups returns the groups in order.
func (c *Chain) Groups() []Group { return c.groups }

// First returns the step that must begin a session: the word of the first validator that
// knows one.
func (c *Chain) First() Expectation { return c.first }

func first(groups []Group) Expectation {
	for _, g := range groups {
		for _, e := range g.First() {
			if e.Known {
				return e
			}
		}
	}
	return Expectation{}
}

// Drained is closed when the chain is out of force and judges no step any more.
func (c *Chain) Drained() <-chan struct{} { return c.drained }

func (c *Chain) acquire() bool {
	for {
		n := c.users.Load()
		if n == 0 {
			return false
		}
		if c.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *Chain) release() {
	if c.users.Add(-1) == 0 {
		close(c.drained)
	}
}

// judge puts the step to every group and waits for the answers.
func (c *Chain) judge(ctx context.Context, session Session, step Step) Judgement {
	limit := c.options.Limits.Budget(step.Timeout, time.Since(step.Arrived))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, lateError(limit))
	defer cancel()

	a := asking{answers: make([][]Answer, len(c.groups))}
	if c.options.Timed {
		a.times = make([]GroupTime, len(c.groups))
	}
	// The last group, mostly the only one, needs no goroutine of its own.
	last := len(c.groups) - 1
	for i := range last {
		a.others.Go(func() { a.ask(ctx, i, c.groups[i], session, step) })
	}
	if last >= 0 {
		a.ask(ctx, last, c.groups[last], session, step)
	}
	a.others.Wait()
	j := c.merge(session.Memory, a.answers)
	j.Groups = a.times
	return j
}

// An asking is a step that is being put to every group of a chain.
type asking struct {
	answers [][]Answer
	times   []GroupTime // nil unless Options.Timed
	others  sync.WaitGroup
}

// ask puts the step to the i-th group.
func (a *asking) ask(ctx context.Context, i int, g Group, session Session, step Step) {
	call := newCall(session, step)
	call.States = session.Memory.states(g.Names())
	if a.times == nil {
		a.answers[i] = ask(ctx, g, call)
		return
	}
	began := time.Now()
	a.answers[i] = ask(ctx, g, call)
	a.times[i] = groupTime(g, time.Since(began), a.answers[i])
}

// A lateError is the cause of a context that has ended because the time for a step is over.
type lateError time.Duration

func (e lateError) Error() string {
	return fmt.Sprintf("no verdict within %v", time.Duration(e).Round(time.Millisecond))
}

// try judges the step if every group has its answers at hand.
func (c *Chain) try(session Session, step Step) (j Judgement, ok bool) {
	t := c.trials.Get().(*trial)
	defer t.release(c)
	t.call = newCall(session, step)
	for _, g := range c.groups {
		from := len(t.states)
		t.states = session.Memory.appendStates(t.states, g.Names())
		a, ok := g.Try(t.about(from, len(t.states)))
		if !ok {
			return Judgement{}, false
		}
		t.answers = append(t.answers, a)
	}
	to := 0
	for i, g := range c.groups {
		from := to
		to += len(g.Names())
		g.Tried(t.about(from, to), t.answers[i])
	}
	j = c.merge(session.Memory, t.answers)
	if c.options.Timed {
		j.Groups = make([]GroupTime, len(c.groups))
		for i, g := range c.groups {
			j.Groups[i] = groupTime(g, 0, t.answers[i])
		}
	}
	return j, true
}

// A trial is the memory for trying one step after another.
type trial struct {
	call    Call
	states  [][]byte // of all groups, one after the other
	answers [][]Answer
}

// release gives the memory back, without what it refers to.
func (t *trial) release(c *Chain) {
	t.call = Call{}
	clear(t.answers)
	clear(t.states)
	t.answers, t.states = t.answers[:0], t.states[:0]
	c.trials.Put(t)
}

// about returns the call for the group whose states are those from one place to another.
func (t *trial) about(from, to int) *Call {
	t.call.States = t.states[from:to:to]
	return &t.call
}

func newCall(session Session, step Step) Call {
	return Call{
		Session: validator.Session{Position: session.Position, Steps: session.Steps},
		Step:    step.Step,
		Fresh:   step.Fresh,
	}
}

func groupTime(g Group, took time.Duration, answers []Answer) GroupTime {
	t := GroupTime{Names: g.Names(), Took: took}
	for _, a := range answers {
		t.Queue, t.Kept = max(t.Queue, a.Queued), t.Kept || a.Kept
	}
	return t
}

// ask puts the step to one group. A panic costs the step its verdict and not the agent its
// life: mostly a group is asked on a goroutine of its own, where nothing else would recover.
func ask(ctx context.Context, g Group, call Call) (answers []Answer) {
	defer func() {
		if p := recover(); p != nil {
			answers = slices.Repeat([]Answer{{Err: fmt.Errorf("panic: %v", p)}}, len(g.Names()))
		}
	}()
	return g.Judge(ctx, call)
}
