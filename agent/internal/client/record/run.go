package record

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A Run is what the events of a record come to. The zero value is a run of which nothing is
// known: its verdict is undecided.
type Run struct {
	// Start is the record's first event.
	Start Start
	// Agents are the names and versions that agents gave of themselves, each once, in the
	// order of the record; empty when none did, as those older than the question do not.
	Agents []string
	// Steps are the expected steps with what became of each, in order. A procedure has one
	// StepResult for each of its steps, also when the run never came to it.
	Steps []StepResult
	// Strays are the events of that kind, in order.
	Strays []Event
	// Dropped is how many strays there were besides, which were counted and not kept.
	Dropped int
	// Cause says why the run ended; empty when the record has no end, because the client was
	// killed or is still at work.
	Cause Cause
	// Duration is the time of the last event.
	Duration time.Duration
	// Counts says how many steps had which outcome.
	Counts Counts
	// Verdict is the worst over all expected steps. It is a pass only when there is at least
	// one step, every step passed and the run finished.
	Verdict Verdict
}

// Unreached reports whether the run was given up because the agent could not be reached.
func (r Run) Unreached() bool { return r.Cause == Lost }

// Cut reports whether the record has no end.
func (r Run) Cut() bool { return r.Cause == "" }

// Unasked is how many messages came that answer nothing, whether they were kept or not.
func (r Run) Unasked() int { return len(r.Strays) + r.Dropped }

// A StepResult is what became of one expected step.
type StepResult struct {
	// Index is the step's place in the procedure, counted from 1.
	Index int
	Step
	// Outcome says how it went.
	Outcome Outcome
	// Req is the request's own name; zero when the client sent none.
	Req protocol.ReqID
	// Reply is what was credited to the step, or what came instead when the outcome is
	// WrongReply and it was a reply; nil otherwise.
	Reply *protocol.Reply
	// Reason and Detail say why the step did not pass: the agent's where it gave one, else
	// the client's. Both are empty when the step passed or was not run.
	Reason protocol.Reason
	Detail string
	// SentAt is when the request was sent, since the start of the run; meaningless when the
	// step was not sent.
	SentAt time.Duration
	// Took is the time from the sending to the reply, the expiry or the loss.
	Took time.Duration
	// Kept is how long the client waited after the step; absent when it did not come to
	// that, as after the last step.
	Kept protocol.Wait
	// Late is the reply that came after the timeout; nil when none did.
	Late *LateReply
}

// A LateReply is a reply that came after its step's timeout. It is credited to no step.
type LateReply struct {
	Reply protocol.Reply
	// Took is the time from the sending of the request to the reply's arrival.
	Took time.Duration
}
