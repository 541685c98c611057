// Package record is the evidence of a run: an append-only file of JSON lines, one for each event, and
// the only place where the verdict of a run is computed.
//
// A Writer appends Events, and Read reads them strictly. Fold computes a Run from the events: the
// outcome of each step and the verdict. A live run, a report made years later and a check of the
// evidence all use Fold, so they agree. The package opens no connection and reads no clock.
package record

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// Format is the version of the record that this package writes and reads.
const Format = 1

// A Kind says what happened.
type Kind string

// The kinds of events, and the fields that each has besides Kind and At. Kinds that concern a step
// also have Index and StepID.
const (
	// KindStart is the first event of every record. It has Start.
	KindStart Kind = "start"
	// KindTLS: a connection over TLS was made that is the first, or differs from the one before it
	// in what TLS says. It has TLS.
	KindTLS Kind = "tls"
	// KindSent: the client sends the request of a step. It has Req (zero if the client sends
	// none), Timeout and Interval, and Address if it goes to another agent than the request before.
	KindSent Kind = "sent"
	// KindAgain: the step got no verdict, and the client tries again, with the same req and after a
	// pause. Before KindSent it says that there was no connection over which to send the request.
	// It has Again, Took and Detail, Reply if the agent sent one, and Address if the agent is another than
	// that of the last request.
	KindAgain Kind = "again"
	// KindResent: the client sends the request of a step again, after a KindAgain. It has Address if it
	// goes to another agent than the request before.
	KindResent Kind = "resent"
	// KindReply: the reply to the step came within its timeout. It has Reply and Took.
	KindReply Kind = "reply"
	// KindTimeout: no reply came within the step's timeout. It has Took.
	KindTimeout Kind = "timeout"
	// KindLost: the connection was closed or reset before the reply came. It has Took and
	// Detail.
	KindLost Kind = "lost"
	// KindWrong: a message came that does not answer this step. It has Took and Detail, and
	// Reply if the message was a reply.
	KindWrong Kind = "wrong"
	// KindUnreachable: connecting failed, so the step was not sent; or the agent refused the
	// connection after the step was sent, as it does with a client certificate over TLS 1.3. It
	// has Detail.
	KindUnreachable Kind = "unreachable"
	// KindLate: the reply to the step came after its timeout. It has Reply and Took.
	KindLate Kind = "late"
	// KindStray: a message came that answers no step. It has Stray and Detail, and Reply if the
	// message was a reply. Only a duplicate concerns a step.
	KindStray Kind = "stray"
	// KindDropped: more strays came than the record holds. It has Count, the number of dropped
	// strays since the last event of this kind.
	KindDropped Kind = "dropped"
	// KindInterval: the client has waited after a step. There is one for each step but the last,
	// even if the declared interval is 0. It has Interval and Kept.
	KindInterval Kind = "interval"
	// KindResumed: the run goes on that was interrupted before. The events before it are those of the
	// interrupted run, which may have an end with the cause Interrupted. A step that was waiting for its
	// reply is sent again, with the same req. It has Resumed.
	KindResumed Kind = "resumed"
	// KindEnd is the last event of a complete record. It has End.
	KindEnd Kind = "end"
)

// Settles reports whether an event of the kind is the outcome of a step that was performed.
func (k Kind) Settles() bool {
	switch k {
	case KindReply, KindTimeout, KindLost, KindWrong, KindUnreachable:
		return true
	default:
		return false
	}
}

// An Event is one line of a record. Fields that its kind does not have are zero.
type Event struct {
	// Kind says what happened.
	Kind Kind `json:"event"`
	// At is the time since the start of the run, on the monotonic clock. It never decreases from
	// one event to the next.
	At time.Duration `json:"at"`
	// Index is the step's position in the procedure, from 1; 0 if the event concerns no step.
	Index int `json:"index"`
	// StepID is the step_id of that step.
	StepID int64 `json:"step_id"`
	// Req is the req of the request.
	Req protocol.ReqID `json:"req"`
	// Timeout and Interval are those that the step declares.
	Timeout  time.Duration `json:"timeout"`
	Interval time.Duration `json:"interval"`
	// Took is the time from the first sending of the request to the reply, the expiry or the loss. For
	// a KindAgain before the sending it is the time since the connection was lost or the first try to
	// make one.
	Took time.Duration `json:"took"`
	// Kept is how long the client waited after the step's reply, expiry or loss. It is shorter
	// than Interval only if the run was interrupted.
	Kept time.Duration `json:"kept"`
	// Reply is what the agent sent.
	Reply *protocol.Reply `json:"reply"`
	// Stray is the kind of a stray.
	Stray Stray `json:"stray"`
	// Count is a number of messages.
	Count int `json:"count"`
	// Detail is one sentence for users.
	Detail string `json:"detail"`
	// Start, Again, TLS, Resumed and End hold the other fields of these kinds.
	Start   *Start   `json:",inline"`
	Again   *Again   `json:",inline"`
	TLS     *TLS     `json:",inline"`
	Resumed *Resumed `json:",inline"`
	End     *End     `json:",inline"`
	// Address is the host and port of the agent, if that is not the one to which the request before went;
	// for the first request, the one of the start. It comes after the fields above, which may have an
	// address of their own.
	Address string `json:"address"`
}

// A Stray is a kind of message that answers no step.
type Stray string

// The kinds of strays.
const (
	// StrayDuplicate: a further reply to an answered step.
	StrayDuplicate Stray = "duplicate"
	// StrayUnsolicited: a reply to no known request.
	StrayUnsolicited Stray = "unsolicited"
	// StrayGarbage: bytes that are not a reply.
	StrayGarbage Stray = "garbage"
)

// An Again says why a step is tried again.
type Again struct {
	Cause Retry `json:"cause"`
}

// A Retry is a cause to try a step again.
type Retry string

// The causes to try a step again. The last three are the reasons of replies.
const (
	// RetryLost: the connection was lost, before the reply or between two steps.
	RetryLost Retry = "lost"
	// RetryUnreachable: connecting failed.
	RetryUnreachable Retry = "unreachable"
	// RetryBusy: the agent has reached a limit.
	RetryBusy = Retry(protocol.Busy)
	// RetryStopping: the agent stops.
	RetryStopping = Retry(protocol.ShuttingDown)
	// RetryValidator: a validator gave no verdict.
	RetryValidator = Retry(protocol.ValidatorUnavailable)
)

// A Start describes the run: client, agent and procedure.
type Start struct {
	// Format is the version of the record, 1.
	Format int `json:"format"`
	// Client is the version of stepctl, Agent that of the agent; empty if unknown.
	Client string `json:"client"`
	Agent  string `json:"agent"`
	// Host is the name of the client's machine.
	Host string `json:"host"`
	// Address is the agent's host and port.
	Address string `json:"address"`
	// Addresses are those of all agents that the run may go on with, in order, the first of which is
	// Address; empty if that is the only one.
	Addresses []string `json:"addresses"`
	// Session names the session; empty for none.
	Session string `json:"session"`
	// Time is the wall-clock time of the start.
	Time time.Time `json:"time"`
	// Procedure has the expected steps.
	Procedure Procedure `json:"procedure"`
}

// A Procedure is the procedure of a run.
type Procedure struct {
	// Name is the path of the step file, or the name of a built-in procedure.
	Name string `json:"name"`
	// SHA256 is the hexadecimal hash of the step file.
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

// A TLS says how a connection was secured.
type TLS struct {
	// Version is that of the protocol, such as "1.3".
	Version string `json:"version"`
	// Server is the agent's certificate.
	Server Certificate `json:"server"`
	// ClientSubject is the subject of the client's certificate; empty for none.
	ClientSubject string `json:"client_subject"`
	// KeyLog is the file with the keys of the connection; empty for none.
	KeyLog string `json:"keylog"`
}

// A Certificate identifies an X.509 certificate.
type Certificate struct {
	// Subject is its distinguished name, or an alternative name where that is empty.
	Subject string `json:"subject"`
	// Issuer is the distinguished name of the CA.
	Issuer string `json:"issuer"`
	// Serial is the serial number in hexadecimal.
	Serial string `json:"serial"`
	// NotAfter is the end of its validity.
	NotAfter time.Time `json:"not_after"`
}

// An End says how a run ended.
type End struct {
	Cause Cause `json:"cause"`
	// Counts has the number of steps of each outcome. Fold checks it against the events.
	Counts Counts `json:"counts"`
}

// A Cause says why a run ended.
type Cause string

// The causes.
const (
	// Finished: every step was performed.
	Finished Cause = "finished"
	// Interrupted: the user stopped the run.
	Interrupted Cause = "interrupted"
	// Lost: the agent was unreachable at the first step, and the run ended.
	Lost Cause = "lost"
	// Refused: client and agent could not agree on TLS, such as when one refused the certificate
	// of the other, and the run ended.
	Refused Cause = "refused"
)
