// Package judge asks the configured validators about one step and makes one judgement of
// their verdicts.
//
// It holds no session: what it needs of one comes in, what changed goes out. The validators
// in force are a Chain; a Judge points to one Chain and can be pointed to another while
// steps are being judged, which then finish on the chain on which they began.
package judge

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A Session is what is judged against: the session before the step at hand.
type Session struct {
	// ID names the session. No validator is told it.
	ID       string
	Position int
	Steps    int
	// Memory is that of the last judgement of this session; nil at the first.
	Memory Memory
}

// A Step is a step to judge. Its times come from the session.
type Step struct {
	validator.Step
	// Arrived is when the step's message was read.
	Arrived time.Time
	// Fresh has every validator asked, whatever verdicts are kept.
	Fresh bool
}

// A Judgement is what the validators together say of one step.
type Judgement struct {
	// Outcome is fail when a validator fails the step; else undecided when one could not
	// decide; else pass.
	Outcome validator.Outcome
	// By names the validator whose word it is, for a fail or undecided.
	By string
	// Reason and Detail are those of the failing validator. When undecided, Detail says why
	// and Reason is empty.
	Reason validator.Reason
	Detail string
	// Memory replaces that of the session. When undecided it is the old one.
	Memory Memory
	// Fault is misbehaviour asked for, nil for none and where faults are not allowed.
	Fault *validator.Fault
	// Expects is the step that must come next.
	Expects Expectation
	// Generation is that of the chain that judged.
	Generation uint64
	// Kept says that no validator was asked: every answer was given before.
	Kept bool
	// Groups say how long each group took, in the chain's order; nil unless Options.Timed.
	Groups []GroupTime
}

// A GroupTime says how long a group took over one step.
type GroupTime struct {
	// Names are the group's validators.
	Names []string
	// Queue is how long the step waited in the agent before it was sent to the validators;
	// Took is how long the group took in all, the queue included.
	Queue, Took time.Duration
	// Kept says that the validators were not asked: they had given these verdicts before, for
	// the same inputs.
	Kept bool
}

// An Expectation is the step id that must come next, if any one must.
type Expectation struct {
	StepID int64
	Known  bool
}

// Limits bound the time for one step.
type Limits struct {
	// Floor is the least time that validators get, however short the declared timeout.
	Floor time.Duration
	// Cap is the most, however long the declared timeout, and the time when none is
	// declared.
	Cap time.Duration
}

// Of a declared timeout a tenth, but no more than replyMargin, is for the reply to reach the
// client before it gives up: that a validator is at fault must not look like a lost reply.
const replyMargin = 500 * time.Millisecond

// Budget is how much time is left to judge a step that declared timeout and arrived so long
// ago.
func (l Limits) Budget(timeout validator.Wait, ago time.Duration) time.Duration {
	budget := l.Cap
	if timeout.Declared {
		budget = min(timeout.Duration-min(timeout.Duration/10, replyMargin), l.Cap)
	}
	return max(budget-ago, l.Floor)
}

// A Judge judges steps by the chain in force. It is safe for concurrent use.
type Judge struct {
	chain atomic.Pointer[Chain]
}

// New returns a Judge that uses the chain.
func New(chain *Chain) *Judge {
	j := &Judge{}
	j.chain.Store(chain)
	return j
}

// Swap puts another chain in force and returns the one before. Steps that are being judged
// finish on it; its Drained channel tells when the last has. The other chain must be a new
// one: a chain that has been out of force judges nothing any more.
func (j *Judge) Swap(chain *Chain) *Chain {
	old := j.chain.Swap(chain)
	old.release()
	return old
}

// Chain returns the chain in force.
func (j *Judge) Chain() *Chain { return j.chain.Load() }

// Judge judges one step. It returns within the chain's limits, or sooner when the context
// ends; then the step is undecided.
func (j *Judge) Judge(ctx context.Context, session Session, step Step) Judgement {
	for {
		chain := j.chain.Load()
		if chain.acquire() {
			defer chain.release()
			return chain.judge(ctx, session, step)
		}
		// Swapped out between the load and here; the next load finds its successor.
	}
}

// Try is Judge where the answers of every validator are at hand: it does not wait. False means
// that the validators must be asked, and that nothing has been done.
func (j *Judge) Try(session Session, step Step) (Judgement, bool) {
	for {
		chain := j.chain.Load()
		if chain.acquire() {
			defer chain.release()
			return chain.try(session, step)
		}
	}
}

// First returns the step that must begin a session, as the chain in force sees it.
func (j *Judge) First() Expectation { return j.chain.Load().First() }
