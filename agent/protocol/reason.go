package protocol

import "slices"

// A Reason is the machine-readable word for why a step did not pass. The list is closed and
// only grows: clients map reasons to codes of their own, and old records are read for ever.
type Reason string

// What a validator says of a step. These are the client's to mend.
const (
	// OutOfOrder: the step id is not the one that must come now.
	OutOfOrder Reason = "out_of_order"
	// TimeoutTooShort: the declared timeout is below the threshold.
	TimeoutTooShort Reason = "timeout_too_short"
	// IntervalNotKept: the client did not wait its declared interval.
	IntervalNotKept Reason = "interval_not_kept"
	// RuleBroken: a rule of the user's own was broken.
	RuleBroken Reason = "rule_broken"
)

// What the agent says of a message that it does not judge. These are the client's to mend.
const (
	// BadMessage: the bytes are no JSON object; the connection closes.
	BadMessage Reason = "bad_message"
	// BadRequest: a field is missing, of a wrong type or out of its range.
	BadRequest Reason = "bad_request"
)

// What the agent says of itself. The step takes no position and may be sent again.
const (
	// ValidatorUnavailable: a validator gave no verdict in time.
	ValidatorUnavailable Reason = "validator_unavailable"
	// Busy: a limit of the agent is reached.
	Busy Reason = "busy"
	// ShuttingDown: the agent is stopping.
	ShuttingDown Reason = "shutting_down"
	// Internal: a defect of the agent.
	Internal Reason = "internal"
)

// What a client says of a step that got no usable reply. They are never sent.
const (
	// Timeout: no reply to this step came within its timeout.
	Timeout Reason = "timeout"
	// ConnectionLost: the connection was closed or reset before the reply came.
	ConnectionLost Reason = "connection_lost"
	// WrongReply: what came was no reply to this step.
	WrongReply Reason = "wrong_reply"
	// Unreachable: no connection to the agent could be made.
	Unreachable Reason = "unreachable"
)

// Judged returns the reasons that come from validators.
func Judged() []Reason {
	return []Reason{OutOfOrder, TimeoutTooShort, IntervalNotKept, RuleBroken}
}

// Sent returns every reason that may stand in a reply, in the order in which they came into
// being. The config's table [error_codes] takes these as its keys.
func Sent() []Reason {
	return append(Judged(), BadMessage, BadRequest, ValidatorUnavailable, Busy, ShuttingDown, Internal)
}

// AgentsOwn reports whether the reason is a fault of the agent's own, so that the step took
// no position and may be sent again.
func (r Reason) AgentsOwn() bool {
	return slices.Contains([]Reason{ValidatorUnavailable, Busy, ShuttingDown, Internal}, r)
}

// Codes gives reasons error codes of the user's own. A reason that is not in it has code 1.
type Codes map[Reason]int

// Of returns the error code of a reply with the reason: 0 when there is none.
func (c Codes) Of(reason Reason) int {
	if reason == "" {
		return 0
	}
	if code, ok := c[reason]; ok {
		return code
	}
	return 1
}
