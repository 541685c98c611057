// Package protocol is the wire between clients and the agent: protocol 1.
//
// Bytes end here. A Reader cuts a stream into messages, each one JSON object within a byte
// limit; DecodeRequest and DecodeReply turn one message into a value or an *Error;
// AppendRequest and AppendReply do the opposite. Nothing above this package sees JSON, and
// nothing in it opens a socket, reads a clock or starts a goroutine. docs/protocol.md is
// the description for people.
package protocol

import (
	"strconv"
	"time"
)

// Limits of the protocol.
const (
	// Version is the version of the protocol.
	Version = 1
	// DefaultMaxMessageBytes is the length of the longest message that is read, unless set
	// otherwise, in bytes.
	DefaultMaxMessageBytes = 4096
	// MaxNameBytes is the length of the longest session name and of the longest req, in
	// bytes.
	MaxNameBytes = 64
	// MaxWait is the longest timeout or interval that is told apart; a longer one counts as
	// this long.
	MaxWait = 100 * 365 * 24 * time.Hour
)

// A Request asks the agent to judge one step.
type Request struct {
	// StepID is the id of the step; any 64-bit integer.
	StepID int64
	// Timeout is how long the client waits for the reply.
	Timeout Wait
	// Interval is how long the client will wait before its next step.
	Interval Wait
	// Session names the session across connections: 1 to 64 printable ASCII characters;
	// empty when the client named none.
	Session string
	// Req names the request within its session; the zero value when there is none.
	Req ReqID
	// Client is the client's own name and version, such as "stepctl 1.2.0", by which it asks
	// the agent for its own: 1 to 64 printable ASCII characters; empty when it does not ask.
	Client string
	// Data is the JSON object that goes to the validators untouched; nil when there is none.
	Data []byte
}

// A Reply is the agent's answer to one message.
type Reply struct {
	// StepID is the id of the step that is answered; nil, null on the wire, when the message
	// had none that could be read.
	StepID *int64
	// ErrorCode is 0 when the step passed; a number of 32 bits.
	ErrorCode int
	// Req and Session are those of the request.
	Req     ReqID
	Session string
	// Reason and Detail say why the code is not 0; empty otherwise.
	Reason Reason
	Detail string
	// End says that the session has had its last step.
	End bool
	// Agent is the agent's name and version, when the request asked; empty otherwise.
	Agent string
}

// OK reports whether the step passed. A reply that gives a reason does not say so, whatever
// its code.
func (r Reply) OK() bool { return r.ErrorCode == 0 && r.StepID != nil && r.Reason == "" }

// A Wait is a length of time that may be absent. The zero value is an absent one.
type Wait struct {
	// Duration is never negative, and 0 when absent.
	Duration time.Duration
	// Declared tells a wait of no time from no wait declared.
	Declared bool
}

// Seconds returns a declared wait.
func Seconds(d time.Duration) Wait { return Wait{Duration: d, Declared: true} }

// A ReqID is the client's own name for a request: a string of 1 to 64 bytes or an integer.
// It is echoed in the form in which it came; "7" and 7 are different. ReqIDs are comparable,
// and the zero value means that there is none.
type ReqID struct {
	text string
	num  int64
	kind reqKind
}

type reqKind uint8

const (
	reqNone reqKind = iota
	reqText
	reqNum
)

// TextReq returns the ReqID that is a string.
func TextReq(s string) ReqID { return ReqID{text: s, kind: reqText} }

// NumReq returns the ReqID that is an integer.
func NumReq(n int64) ReqID { return ReqID{num: n, kind: reqNum} }

// IsZero reports whether there is no ReqID.
func (r ReqID) IsZero() bool { return r.kind == reqNone }

// String returns the ReqID for logs, a string in Go's quotes; empty when there is none.
func (r ReqID) String() string {
	switch r.kind {
	case reqText:
		return strconv.Quote(r.text)
	case reqNum:
		return strconv.FormatInt(r.num, 10)
	default:
		return ""
	}
}

// An Error says why bytes are no message that can be answered with a verdict.
type Error struct {
	// Reason is BadMessage, after which the stream cannot be read on, or BadRequest.
	Reason Reason
	// Detail says what is wrong, for the reply.
	Detail string
	// StepID, Req and Session are what could be read of the message all the same.
	StepID  *int64
	Req     ReqID
	Session string
}

// Error joins reason and detail.
func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

// Reply returns the answer to the message, with the given error code.
func (e *Error) Reply(code int) Reply {
	return Reply{StepID: e.StepID, ErrorCode: code, Req: e.Req, Session: e.Session,
		Reason: e.Reason, Detail: e.Detail}
}
