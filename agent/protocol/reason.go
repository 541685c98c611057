package protocol

import "slices"

// A Reason is the machine-readable word for why a step did not pass. The list only grows: clients map
// reasons to codes, and records keep them.
type Reason string

// Reasons of validators: the client must change the step.
const (
	// OutOfOrder: another step id must come now.
	OutOfOrder Reason = "out_of_order"
	// TimeoutTooShort: the declared timeout is below the threshold.
	TimeoutTooShort Reason = "timeout_too_short"
	// IntervalNotKept: the client did not wait its declared interval.
	IntervalNotKept Reason = "interval_not_kept"
	// RuleBroken: the step breaks a rule of the user's.
	RuleBroken Reason = "rule_broken"
)

// Reasons of the agent for a message that it does not judge: the client must change the message.
const (
	// BadMessage: the bytes are not a JSON object; the connection closes.
	BadMessage Reason = "bad_message"
	// BadRequest: a field is missing, has a wrong type or is out of range.
	BadRequest Reason = "bad_request"
)

// Reasons of the agent about itself. The step has not been judged and may be sent again.
const (
	// ValidatorUnavailable: a validator gave no verdict in time.
	ValidatorUnavailable Reason = "validator_unavailable"
	// Busy: the agent has reached a limit.
	Busy Reason = "busy"
	// ShuttingDown: the agent is stopping.
	ShuttingDown Reason = "shutting_down"
	// Internal: the agent has a defect.
	Internal Reason = "internal"
)

// Reasons of a client for a step without a usable reply. They are never sent.
const (
	// Timeout: no reply to this step came within its timeout.
	Timeout Reason = "timeout"
	// ConnectionLost: the connection was closed or reset before the reply came.
	ConnectionLost Reason = "connection_lost"
	// WrongReply: what came was not a reply to this step.
	WrongReply Reason = "wrong_reply"
	// Unreachable: no connection to the agent could be made.
	Unreachable Reason = "unreachable"
)

// Judged returns the reasons that come from validators.
func Judged() []Reason {
	return []Reason{OutOfOrder, TimeoutTooShort, IntervalNotKept, RuleBroken}
}

// Sent returns every reason that a reply may have, the oldest first. They are the keys of the
// config's table [error_codes].
func Sent() []Reason {
	return append(Judged(), BadMessage, BadRequest, ValidatorUnavailable, Busy, ShuttingDown, Internal)
}

// AgentsOwn reports whether the reason concerns the agent, so that the step has not been judged and
// may be sent again.
func (r Reason) AgentsOwn() bool {
	return slices.Contains([]Reason{ValidatorUnavailable, Busy, ShuttingDown, Internal}, r)
}

// Codes maps reasons to error codes. A reason that it does not have gets code 1.
type Codes map[Reason]int

// Of returns the error code of a reason; 0 for an empty one.
func (c Codes) Of(reason Reason) int {
	if reason == "" {
		return 0
	}
	if code, ok := c[reason]; ok {
		return code
	}
	return 1
}
