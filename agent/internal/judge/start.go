package judge

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A Starter is a Group to which a step can be put without waiting for the answers.
type Starter interface {
	Group
	// Start puts the step to the group and returns soon. The answers come to to.Receive, with
	// the index, exactly once, no later than the bound, from any goroutine and perhaps before
	// Start returns. The call's States and Data may be used until then.
	Start(bound Bound, call Call, to Receiver, index int)
	// Flush sends steps that Start keeps back, to send many at once. Where a validator has far more
	// to do than it can, it waits a moment, some milliseconds at most. It does not panic: a step that
	// cannot be sent gets its answers all the same.
	Flush()
}

// A Receiver gets a group's answers.
type Receiver interface {
	// Receive must not wait. The slice is good until it returns; what is in the answers, such as
	// a State, is the receiver's.
	Receive(index int, answers []Answer)
}

// A Client gets a judgement.
type Client interface {
	// Judged must not wait.
	Judged(Judgement)
}

// Start is Judge without waiting, for a step that has just arrived: the judgement comes to the
// client, exactly once, from any goroutine and perhaps before Start returns. The step is not sent
// before the chain that is returned is flushed. It returns nil, and has done nothing, where a
// validator can only be waited for. The memory is p's until the judgement has come; after a panic
// of a group none comes, and p must not be used again.
func (j *Judge) Start(ctx context.Context, p *Pending, session Session, step Step, to Client) *Chain {
	for {
		chain := j.chain.Load()
		if chain.starters == nil {
			return nil
		}
		if chain.acquire() {
			chain.start(ctx, p, session, step, to)
			return chain
		}
	}
}

// Flush sends the steps that have been started.
func (c *Chain) Flush() {
	for _, g := range c.starters {
		g.Flush()
	}
}

// starters returns the groups as Starters; nil when one is none.
func starters(groups []Group) []Starter {
	all := make([]Starter, len(groups))
	for i, g := range groups {
		s, ok := g.(Starter)
		if !ok {
			return nil
		}
		all[i] = s
	}
	return all
}

// Pending is the memory for a step that has been put to the groups of a chain. The zero value is
// ready to use, and may be used for one step after another.
type Pending struct {
	chain   *Chain
	to      Client
	memory  Memory
	answers [][]Answer
	states  [][]byte
	times   []GroupTime
	began   time.Time
	left    atomic.Int32 // groups whose answers have not come
}

// start puts the step to all groups. The chain has been acquired.
func (c *Chain) start(ctx context.Context, s *Pending, session Session, step Step, to Client) {
	s.chain, s.to, s.memory, s.began = c, to, session.Memory, step.Arrived
	s.answers = slices.Grow(s.answers[:0], len(c.starters))[:len(c.starters)]
	s.states = s.states[:0]
	s.left.Store(int32(len(c.starters)) + 1)
	if c.options.Timed {
		s.times = make([]GroupTime, len(c.starters))
	}
	limit := c.options.Limits.Budget(step.Timeout, 0)
	bound := Bound{Parent: ctx, Deadline: step.Arrived.Add(limit), Limit: limit}
	call := Call{Step: step.Step, Session: validator.Session{ID: session.ID, Position: session.Position, Steps: session.Steps}}
	asked := false
	defer func() {
		if !asked { // a group has panicked
			c.release()
		}
	}()
	for i, g := range c.starters {
		from := len(s.states)
		s.states = session.Memory.appendStates(s.states, g.Names())
		call.States = s.states[from:len(s.states):len(s.states)]
		g.Start(bound, call, s, i)
	}
	asked = true
	s.done()
}

// Receive implements Receiver.
func (s *Pending) Receive(index int, answers []Answer) {
	if s.times != nil {
		s.times[index] = groupTime(s.chain.groups[index], time.Since(s.began), answers)
	}
	if s.left.Load() > 1 { // others are to come
		answers = slices.Clone(answers)
	}
	s.answers[index] = answers
	s.done()
}

// done notes that the answers of one group have come, or that all groups have been asked, and
// makes the judgement when nothing is missing.
func (s *Pending) done() {
	if s.left.Add(-1) > 0 {
		return
	}
	to, chain, j := s.to, s.chain, s.judgement()
	clear(s.answers)
	clear(s.states)
	s.chain, s.to, s.memory, s.times = nil, nil, nil, nil
	chain.release()
	to.Judged(j)
}

// judgement merges the answers. A panic costs the step its verdict and not the agent its life.
func (s *Pending) judgement() (j Judgement) {
	defer func() {
		if p := recover(); p != nil {
			j = Judgement{Outcome: validator.Undecided, Detail: fmt.Sprintf("panic: %v", p),
				Memory: s.memory, Generation: s.chain.options.Generation}
		}
	}()
	j = s.chain.merge(s.memory, s.answers)
	j.Groups = s.times
	return j
}
