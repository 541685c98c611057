package record

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A Run is the result of a record. The verdict of the zero value is undecided.
type Run struct {
	// Start is the record's first event.
	Start Start
	// Agents are the names and versions that agents sent, without repetitions, in the order of
	// the record. Old agents send none.
	Agents []string
	// TLS says how the connections were secured, without repetitions, in the order of the record;
	// empty if they were not.
	TLS []TLS
	// Steps has the result of each expected step, in order, even if the run did not reach it.
	Steps []StepResult
	// Strays are the events of that kind, in order.
	Strays []Event
	// Dropped is the number of further strays, which were counted and not recorded.
	Dropped int
	// Address is the agent's host and port at the end: that to which the last request went, see Moves.
	Address string
	// Resumptions say when the run went on after it had been interrupted, in order; empty if it never
	// was.
	Resumptions []Resumption
	// Cause says why the run ended; empty if the record has no end, because the client was
	// killed or is still running.
	Cause Cause
	// Reconnects and Away are the sums of those of the steps, which count no time twice.
	Reconnects int
	Away       time.Duration
	// Duration is the time of the last event.
	Duration time.Duration
	// Counts has the number of steps of each outcome.
	Counts Counts
	// Verdict is the worst of all expected steps. It is pass only if there is at least one step,
	// every step passed and the run finished.
	Verdict Verdict
}

// Unreached reports whether the run ended because the agent could not be reached.
func (r Run) Unreached() bool { return r.Cause == Lost }

// Refused reports whether the run ended because client and agent could not agree on TLS.
func (r Run) Refused() bool { return r.Cause == Refused }

// Cut reports whether the record has no end.
func (r Run) Cut() bool { return r.Cause == "" }

// Unasked returns the number of all strays, recorded or dropped.
func (r Run) Unasked() int { return len(r.Strays) + r.Dropped }

// A StepResult is the result of one expected step.
type StepResult struct {
	// Index is the step's position in the procedure, from 1.
	Index int
	Step
	Outcome Outcome
	// Req is the req of the request; zero if the client sent none.
	Req protocol.ReqID
	// Reply is the reply to the step, or the reply that came instead if the outcome is
	// WrongReply; nil otherwise.
	Reply *protocol.Reply
	// Reason and Detail say why the step did not pass, in the words of the agent or else of the
	// client. Both are empty if the step passed or was not run.
	Reason protocol.Reason
	Detail string
	// Address is the host and port of the agent to which the request went last; empty if that is the one of
	// the start.
	Address string
	// Tries is how often the request was sent, with the same req: once as a rule, 0 if it was not.
	Tries int
	// Retry is why the step was tried again at first; empty if it was not.
	Retry Retry
	// Reconnects is how often the connection was made anew within the step, or before it because it had
	// been lost since the step before.
	Reconnects int
	// Away is how long the agent could not be reached or gave no verdict: from each loss or refusal to the
	// next sending, or to the end of the step. The agent may have been back earlier, by a pause between
	// two tries. It does not count a connection that was lost between two steps and could be made anew
	// at once. If it stays lost for several steps, each counts from where the one before has ended.
	Away time.Duration
	// AwayInTook is the part of Away within Took: from a loss or refusal to the next sending.
	AwayInTook time.Duration
	// SentAt is when the request was first sent, since the start of the run; meaningless if it was not.
	// What was sent before the run was interrupted and resumed does not count, for Took neither.
	SentAt time.Duration
	// Took is the time from the first sending to the reply, the expiry or the loss.
	Took time.Duration
	// Kept is how long the client waited after the step; not declared if it did not wait, as
	// after the last step.
	Kept protocol.Wait
	// Late is the reply that came after the timeout; nil for none.
	Late *LateReply
}

// A LateReply is a reply that came after its step's timeout. It does not change the outcome.
type LateReply struct {
	Reply protocol.Reply
	// Took is the time from the sending of the request to the reply's arrival.
	Took time.Duration
}
