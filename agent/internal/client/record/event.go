// Package record is the evidence of a run: an append-only file of JSON lines, one for each
// thing that happened, and the one place where a run's verdict is derived from it.
//
// A Writer appends Events and Read gives them back, strictly. Fold turns the events of one
// run into a Run: the outcome of each step and the verdict of the whole. Nobody else
// computes a verdict, so that a live run, a report made years later and a check of the
// evidence agree. The package opens no connection and reads no clock.
package record

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// Format is the version of the record that this package writes and reads.
const Format = 1

// A Kind says what happened.
type Kind string

// The kinds of events, and the fields that each has besides Kind and At. The kinds that
// concern a step have Index and StepID too.
const (
	// KindStart is the first event of every record. It has Start.
	KindStart Kind = "start"
	// KindSent: the client sends the request of a step. It has Req (zero when the client
	// sends none), Timeout and Interval.
	KindSent Kind = "sent"
	// KindReply: the reply to the step came within its timeout. It has Reply and Took.
	KindReply Kind = "reply"
	// KindTimeout: no reply came within the step's timeout. It has Took.
	KindTimeout Kind = "timeout"
	// KindLost: the connection was closed or reset before the reply came. It has Took and
	// Detail.
	KindLost Kind = "lost"
	// KindWrong: something came that is no reply to this step. It has Took and Detail, and
	// Reply when it was a reply.
	KindWrong Kind = "wrong"
	// KindUnreachable: no connection could be made, so the step was not sent. It has Detail.
	KindUnreachable Kind = "unreachable"
	// KindLate: the reply to the step came after its timeout. It has Reply and Took.
	KindLate Kind = "late"
	// KindStray: something came that answers nothing. It has Stray and Detail, and Reply
	// when it was a reply. It concerns a step only when it is a duplicate.
	KindStray Kind = "stray"
	// KindDropped: more came that answers nothing than a record holds, and was counted and not
	// kept. It has Count, the messages since the last event of this kind.
	KindDropped Kind = "dropped"
	// KindInterval: the client has waited after a step, and goes on to the next. There is
	// one for each step but the last, also where the declared interval is 0. It has Interval
	// and Kept.
	KindInterval Kind = "interval"
	// KindEnd is the last event of a run that was not cut off. It has End.
	KindEnd Kind = "end"
)

// An Event is one line of a record. Fields that its kind does not have are zero.
type Event struct {
	// Kind says what happened.
	Kind Kind `json:"event"`
	// At is when it was recorded, since the start of the run on the monotonic clock. It
	// never goes back from one event to the next.
	At time.Duration `json:"at"`
	// Index is the step's place in the procedure, counted from 1; 0 when the event concerns
	// no step.
	Index int `json:"index"`
	// StepID is the step_id of that step.
	StepID int64 `json:"step_id"`
	// Req is the request's own name, as it was sent.
	Req protocol.ReqID `json:"req"`
	// Timeout and Interval are what the step declares.
	Timeout  time.Duration `json:"timeout"`
	Interval time.Duration `json:"interval"`
	// Took is the time from the sending of the request to the event: to the arrival of the
	// reply, the expiry, or the loss.
	Took time.Duration `json:"took"`
	// Kept is how long the client waited after the step, counted from the step's reply or
	// expiry. It is shorter than Interval only when the run was interrupted.
	Kept time.Duration `json:"kept"`
	// Reply is what the agent sent.
	Reply *protocol.Reply `json:"reply"`
	// Stray says what kind of thing a stray is.
	Stray Stray `json:"stray"`
	// Count is a number of messages.
	Count int `json:"count"`
	// Detail is one sentence for a person.
	Detail string `json:"detail"`
	// Start and End are the rest of the events of these kinds.
	Start *Start `json:",inline"`
	End   *End   `json:",inline"`
}

// A Stray says what something is that answers nothing.
type Stray string

// The kinds of strays.
const (
	// StrayDuplicate: a further reply to a step that had one.
	StrayDuplicate Stray = "duplicate"
	// StrayUnsolicited: a reply to nothing that was asked.
	StrayUnsolicited Stray = "unsolicited"
	// StrayGarbage: bytes that are no reply.
	StrayGarbage Stray = "garbage"
)

// A Start says who runs what against whom.
type Start struct {
	// Format is the version of the record, 1.
	Format int `json:"format"`
	// Client is the version of stepctl; Agent is that of the agent, empty when not known.
	Client string `json:"client"`
	Agent  string `json:"agent"`
	// Host is the name of the machine that the client runs on.
	Host string `json:"host"`
	// Address is the agent's host and port.
	Address string `json:"address"`
	// Session names the session; empty when the client names none.
	Session string `json:"session"`
	// Time is the wall clock at the start.
	Time time.Time `json:"time"`
	// Procedure is all that is expected to happen.
	Procedure Procedure `json:"procedure"`
}

// A Procedure is the procedure of a run, as it was read.
type Procedure struct {
	// Name is the path of the step file, or the name of a built-in procedure.
	Name string `json:"name"`
	// SHA256 is the hash of the step file's bytes, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Steps are the expected steps, in order.
	Steps []Step `json:"steps"`
}

// A Step is one expected step.
type Step struct {
	StepID   int64         `json:"step_id"`
	Timeout  time.Duration `json:"timeout"`
	Interval time.Duration `json:"interval"`
}

// An End says how a run ended.
type End struct {
	Cause Cause `json:"cause"`
	// Counts says how many steps had which outcome. Fold checks it against the events.
	Counts Counts `json:"counts"`
}

// A Cause says why a run ended.
type Cause string

// The causes.
const (
	// Finished: every step had its turn.
	Finished Cause = "finished"
	// Interrupted: somebody stopped the run.
	Interrupted Cause = "interrupted"
	// Lost: the agent could not be reached at the first step, and the run was given up.
	Lost Cause = "lost"
)
