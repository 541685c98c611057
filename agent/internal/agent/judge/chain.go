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

// A Group is neighbouring validators of one plugin, which answer together in one round trip. It is
// safe for concurrent use.
type Group interface {
	// Names returns the validators' names in the config's order. Each is unique in a chain.
	Names() []string
	// First returns, for each validator, the step that must begin a session.
	First() []Expectation
	// Judge returns one answer for each validator, at the latest when the context ends.
	Judge(ctx context.Context, call Call) []Answer
	// Try returns the answers when they are cached, and false otherwise. It does not wait and counts
	// nothing. The call must not be kept; the slice is shared and must not be written to.
	Try(call *Call) (answers []Answer, ok bool)
	// Tried counts a step that was judged by answers of Try. The call must not be kept.
	Tried(call *Call, answers []Answer)
}

// A Call is one step for a group to judge.
type Call struct {
	// Session has no ID, on which no verdict may depend, and no State: see States.
	Session validator.Session
	// States holds one State for each validator of the group.
	States [][]byte
	Step   validator.Step
	// Fresh bypasses the cache.
	Fresh bool
}

// An Answer is one validator's answer for one step.
type Answer struct {
	Verdict validator.Verdict
	// Expects is the step that must come next.
	Expects Expectation
	// Err says why the verdict is undecided; nil otherwise.
	Err error
	// Queued is how long the step waited in the agent before it was sent to the validator.
	Queued time.Duration
	// Kept says that the answer is from the cache.
	Kept bool
}

// A Chain is the validators of one config, in its order. It is immutable and safe for concurrent use.
type Chain struct {
	options Options
	groups  []Group
	first   Expectation
	users   atomic.Int64 // steps being judged, and 1 while in force; stays 0 once it is 0
	drained chan struct{}
	scratch sync.Pool // of *scratch
}

// Options are the settings of a chain.
type Options struct {
	// Generation is the number of the chain; each has the next.
	Generation uint64
	Limits     Limits
	// Timed sets Judgement.Groups.
	Timed bool
	// AllowFaults lets validators ask for misbehaviour.
	AllowFaults bool
}

// NewChain returns a chain of the groups.
func NewChain(options Options, groups ...Group) *Chain {
	c := &Chain{options: options, groups: groups, first: first(groups), drained: make(chan struct{})}
	c.users.Store(1)
	c.scratch.New = func() any { return new(scratch) }
	return c
}

// Generation returns the chain's number.
func (c *Chain) Generation() uint64 { return c.options.Generation }

// First returns the step that must begin a session.
func (c *Chain) First() Expectation { return c.first }

// first returns the expectation of the first validator that has one.
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

// Drained is closed when the chain has been swapped out and its last step is judged.
func (c *Chain) Drained() <-chan struct{} { return c.drained }

// acquire counts a user; false when the chain has drained.
func (c *Chain) acquire() bool {
	for n := c.users.Load(); n > 0; n = c.users.Load() {
		if c.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

func (c *Chain) release() {
	if c.users.Add(-1) == 0 {
		close(c.drained)
	}
}

// judge asks every group and waits for the answers.
func (c *Chain) judge(ctx context.Context, session Session, step Step) Judgement {
	limit := c.options.Limits.Budget(step.Timeout, time.Since(step.Arrived))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, lateError(limit))
	defer cancel()

	answers := make([][]Answer, len(c.groups))
	var times []GroupTime
	if c.options.Timed {
		times = make([]GroupTime, len(c.groups))
	}
	askGroup := func(i int) {
		began, g := time.Now(), c.groups[i]
		call := newCall(session, step)
		call.States = session.Memory.appendStates(make([][]byte, 0, len(g.Names())), g.Names())
		answers[i] = ask(ctx, g, call)
		if times != nil {
			times[i] = groupTime(g, time.Since(began), answers[i])
		}
	}
	var others sync.WaitGroup
	// The last group, often the only one, needs no goroutine of its own.
	last := len(c.groups) - 1
	for i := range last {
		others.Go(func() { askGroup(i) })
	}
	if last >= 0 {
		askGroup(last)
	}
	others.Wait()
	j := c.merge(session.Memory, answers)
	j.Groups = times
	return j
}

// A lateError is the cause of a context that ended with the time for a step.
type lateError time.Duration

func (e lateError) Error() string {
	return fmt.Sprintf("no verdict within %v", time.Duration(e).Round(time.Millisecond))
}

// try judges the step if every group has cached its answers.
func (c *Chain) try(session Session, step Step) (j Judgement, ok bool) {
	s := c.scratch.Get().(*scratch)
	defer s.release(c)
	s.call = newCall(session, step)
	for _, g := range c.groups {
		from := len(s.states)
		s.states = session.Memory.appendStates(s.states, g.Names())
		a, ok := g.Try(s.callFor(from, len(s.states)))
		if !ok {
			return Judgement{}, false
		}
		s.answers = append(s.answers, a)
	}
	j = c.merge(session.Memory, s.answers)
	if c.options.Timed {
		j.Groups = make([]GroupTime, len(c.groups))
	}
	to := 0
	for i, g := range c.groups {
		from := to
		to += len(g.Names())
		g.Tried(s.callFor(from, to), s.answers[i])
		if j.Groups != nil {
			j.Groups[i] = groupTime(g, 0, s.answers[i])
		}
	}
	return j, true
}

// A scratch is memory that is reused by try.
type scratch struct {
	call    Call
	states  [][]byte // of all groups, one after the other
	answers [][]Answer
}

// release returns the memory to the pool, without references.
func (s *scratch) release(c *Chain) {
	s.call = Call{}
	clear(s.answers)
	clear(s.states)
	s.answers, s.states = s.answers[:0], s.states[:0]
	c.scratch.Put(s)
}

// callFor returns the call for the group that has states[from:to].
func (s *scratch) callFor(from, to int) *Call {
	s.call.States = s.states[from:to:to]
	return &s.call
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

// ask asks one group. It recovers a panic, as groups are asked on goroutines of their own: the step is
// then undecided.
func ask(ctx context.Context, g Group, call Call) (answers []Answer) {
	defer func() {
		if p := recover(); p != nil {
			answers = slices.Repeat([]Answer{{Err: fmt.Errorf("panic: %v", p)}}, len(g.Names()))
		}
	}()
	return g.Judge(ctx, call)
}
