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
// trip.
type Group interface {
	// Names returns the validators' names in the config's order. Each is unique in a chain.
	Names() []string
	// First returns, for each validator, the step that must begin a session.
	First() []Expectation
	// Judge returns one answer for each validator. It returns when the context ends at the
	// latest. It may be called by many goroutines at once.
	Judge(ctx context.Context, call Call) []Answer
}

// A Call is one step put to a group.
type Call struct {
	// Session is without State: each validator has its own.
	Session validator.Session
	// States holds one State for each validator of the group.
	States [][]byte
	Step   validator.Step
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
}

// A Chain is the validators in force, in the config's order. It does not change once made
// and is safe for concurrent use.
type Chain struct {
	options Options
	groups  []Group
	// starters are the groups again; nil where a group can only be waited for.
	starters []Starter
	users    atomic.Int64 // steps being judged, and 1 while in force; 0 is for ever
	drained  chan struct{}
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
	c := &Chain{options: options, groups: groups, starters: starters(groups), drained: make(chan struct{})}
	c.users.Store(1)
	return c
}

// Generation returns the chain's number.
func (c *Chain) Generation() uint64 { return c.options.Generation }

// Groups returns the groups in order.
func (c *Chain) Groups() []Group { return c.groups }

// First returns the step that must begin a session: the word of the first validator that
// knows one.
func (c *Chain) First() Expectation {
	for _, g := range c.groups {
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

func (c *Chain) judge(ctx context.Context, session Session, step Step) Judgement {
	now := time.Now()
	limit := c.options.Limits.Budget(step.Timeout, now.Sub(step.Arrived))
	bounded := Bound{Parent: ctx, Deadline: now.Add(limit), Limit: limit}.Context()
	defer bounded.Release()

	answers := make([][]Answer, len(c.groups))
	ask := func(i int) { answers[i] = ask(bounded, c.groups[i], session, step) }
	var times []GroupTime
	if c.options.Timed {
		times = make([]GroupTime, len(c.groups))
		untimed := ask
		ask = func(i int) {
			began := time.Now()
			untimed(i)
			times[i] = groupTime(c.groups[i], time.Since(began), answers[i])
		}
	}
	// The last group, mostly the only one, needs no goroutine of its own.
	var others sync.WaitGroup
	for i := range len(c.groups) - 1 {
		others.Go(func() { ask(i) })
	}
	if len(c.groups) > 0 {
		ask(len(c.groups) - 1)
	}
	others.Wait()
	j := c.merge(session.Memory, answers)
	j.Groups = times
	return j
}

func groupTime(g Group, took time.Duration, answers []Answer) GroupTime {
	t := GroupTime{Names: g.Names(), Took: took}
	for _, a := range answers {
		t.Queue = max(t.Queue, a.Queued)
	}
	return t
}

// ask puts the step to one group. A panic costs the step its verdict and not the agent its
// life: mostly a group is asked on a goroutine of its own, where nobody else would recover.
func ask(ctx context.Context, g Group, session Session, step Step) (answers []Answer) {
	defer func() {
		if p := recover(); p != nil {
			answers = slices.Repeat([]Answer{{Err: fmt.Errorf("panic: %v", p)}}, len(g.Names()))
		}
	}()
	return g.Judge(ctx, Call{
		Session: validator.Session{ID: session.ID, Position: session.Position, Steps: session.Steps},
		States:  session.Memory.states(g.Names()),
		Step:    step.Step,
	})
}
