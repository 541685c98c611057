// Package judge asks the configured validators about one step and merges their verdicts into one
// judgement.
//
// It keeps no session: each call gets the session's state and returns the next one. A Chain is the
// validators of one config. A Judge points to the Chain in force, and can be swapped to another while
// steps are being judged, which finish on the chain on which they began.
package judge

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A Session is the session before the step.
type Session struct {
	// ID names the session. Validators do not get it.
	ID       string
	Position int
	Steps    int
	// Memory is that of the session's last judgement; nil at the first step.
	Memory Memory
}

// A Step is a step to judge. Its times come from the session.
type Step struct {
	validator.Step
	// Arrived is when the step's message was read.
	Arrived time.Time
	// Fresh bypasses the cache: every validator is asked.
	Fresh bool
}

// A Judgement is the merged answer of all validators for one step.
type Judgement struct {
	// Outcome is fail when a validator fails the step; else undecided when one could not
	// decide; else pass.
	Outcome validator.Outcome
	// By names the validator that caused a fail or undecided.
	By string
	// Reason and Detail are those of the failing validator. When undecided, Detail says why
	// and Reason is empty.
	Reason validator.Reason
	Detail string
	// Memory replaces that of the session. When undecided it is the old one.
	Memory Memory
	// Fault is the misbehaviour that a validator asks for; nil for none and where faults are not allowed.
	Fault *validator.Fault
	// Expects is the step that must come next.
	Expects Expectation
	// Generation is that of the chain that judged.
	Generation uint64
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
	// Kept says that the answers are from the cache.
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
	// Cap is the most, however long the declared timeout, and the time when none is declared.
	Cap time.Duration
}

// A tenth of a declared timeout, at most replyMargin, is left for the reply to reach the client: a slow
// validator must not look like a lost reply.
const replyMargin = 500 * time.Millisecond

// Budget returns the time left to judge a step with the declared timeout that arrived some time ago.
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

// Swap puts another chain in force and returns the one before, whose Drained channel is closed when its
// last step is judged. The other chain must be new: one that was swapped out cannot be used again.
func (j *Judge) Swap(chain *Chain) *Chain {
	old := j.chain.Swap(chain)
	old.release()
	return old
}

// Chain returns the chain in force.
func (j *Judge) Chain() *Chain { return j.chain.Load() }

// acquire returns the chain in force, which the caller must release.
func (j *Judge) acquire() *Chain {
	for {
		if chain := j.chain.Load(); chain.acquire() {
			return chain
		}
		// Swapped out between the load and here; the next load finds its successor.
	}
}

// Judge judges one step. It returns within the chain's limits. When the context ends first the step is
// undecided.
func (j *Judge) Judge(ctx context.Context, session Session, step Step) Judgement {
	chain := j.acquire()
	defer chain.release()
	return chain.judge(ctx, session, step)
}

// Try is Judge from the cache alone, without waiting. False means that nothing was done, and Judge must
// be called.
func (j *Judge) Try(session Session, step Step) (Judgement, bool) {
	chain := j.acquire()
	defer chain.release()
	return chain.try(session, step)
}

// First returns the step that must begin a session by the chain in force.
func (j *Judge) First() Expectation { return j.chain.Load().First() }
