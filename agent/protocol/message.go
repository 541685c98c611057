// Package protocol encodes and decodes the messages between clients and the agent: protocol 1, which
// docs/protocol.md describes.
//
// A Reader splits a stream into messages, each one JSON object within a byte limit. DecodeRequest
// and DecodeReply decode a message; AppendRequest and AppendReply encode one. The package opens no
// socket, reads no clock and starts no goroutine.
package protocol

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Limits of the protocol.
const (
	// Version is the version of the protocol.
	Version = 1
	// DefaultMaxMessageBytes is the default length of the longest message, in bytes.
	DefaultMaxMessageBytes = 4096
	// MaxNameBytes is the length of the longest session name and of the longest req, in bytes.
	MaxNameBytes = 64
	// MaxWait is the longest timeout or interval; a longer one is read as MaxWait.
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
	// Session names the session across connections: 1 to 64 printable ASCII characters, or
	// empty for none.
	Session string
	// Req names the request within its session; the zero value when there is none.
	Req ReqID
	// Client is the client's name and version, such as "stepctl 1.2.0". It asks the agent for its
	// own: 1 to 64 printable ASCII characters, or empty not to ask.
	Client string
	// Data is a JSON object for the validators, passed on unchanged; nil for none.
	Data []byte
}

// A Reply is the agent's answer to one message.
type Reply struct {
	// StepID is the id of the step; nil, null on the wire, when the message had none that could
	// be read.
	StepID *int64
	// ErrorCode is 0 when the step passed; it fits 32 bits.
	ErrorCode int
	// Req and Session are those of the request.
	Req     ReqID
	Session string
	// Reason and Detail say why the code is not 0, to programs and to people; empty otherwise.
	Reason Reason
	Detail string
	// End says that this was the last step of the session.
	End bool
	// Agent is the agent's name and version if the request asked; empty otherwise.
	Agent string
}

// OK reports whether the step passed. A reply with a reason never says so, even with code 0.
func (r Reply) OK() bool { return r.ErrorCode == 0 && r.StepID != nil && r.Reason == "" }

// SpeaksTLS begins the detail of the reply, for the reason BadMessage, to what was sent without TLS to
// a port that speaks TLS alone.
const SpeaksTLS = "this port speaks TLS"

// NeedsTLS reports whether the reply says that the port speaks TLS alone.
func (r Reply) NeedsTLS() bool {
	return r.StepID == nil && r.Reason == BadMessage && strings.HasPrefix(r.Detail, SpeaksTLS)
}

// A Wait is a duration that may be absent. The zero value is absent.
type Wait struct {
	// Duration is never negative, and 0 when absent.
	Duration time.Duration
	// Declared says that the wait is present; it may be 0.
	Declared bool
}

// Seconds returns a declared wait.
func Seconds(d time.Duration) Wait { return Wait{Duration: d, Declared: true} }

// A ReqID is the client's id of a request: a string of 1 to 64 bytes or an integer. Replies repeat it
// in the same form; "7" and 7 differ. ReqIDs are comparable, and the zero value is none.
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

// TextReq returns a ReqID that is a string.
func TextReq(s string) ReqID { return ReqID{text: s, kind: reqText} }

// NumReq returns a ReqID that is an integer.
func NumReq(n int64) ReqID { return ReqID{num: n, kind: reqNum} }

// Text returns the string of a ReqID that is one.
func (r ReqID) Text() (text string, ok bool) { return r.text, r.kind == reqText }

// Num returns the integer of a ReqID that is one.
func (r ReqID) Num() (n int64, ok bool) { return r.num, r.kind == reqNum }

// IsZero reports whether r is the zero value.
func (r ReqID) IsZero() bool { return r.kind == reqNone }

// String returns the ReqID for logs, with quotes around a string; empty for none.
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

// MarshalJSON writes the ReqID as a message has it; null for none.
func (r ReqID) MarshalJSON() ([]byte, error) {
	if r.IsZero() {
		return []byte("null"), nil
	}
	return r.append(nil), nil
}

// UnmarshalJSON accepts what a message may have.
func (r *ReqID) UnmarshalJSON(raw []byte) error {
	req, problem := readReq(raw)
	if problem != "" {
		return errors.New(problem)
	}
	*r = req
	return nil
}

// An Error says why bytes are not a valid message.
type Error struct {
	// Reason is BadMessage, after which the stream cannot be read further, or BadRequest.
	Reason Reason
	// Detail describes the problem, for the reply.
	Detail string
	// StepID, Req and Session are those of the message as far as they could be read.
	StepID  *int64
	Req     ReqID
	Session string
}

func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

// Reply returns the reply to the message, with the error code.
func (e *Error) Reply(code int) Reply {
	return Reply{StepID: e.StepID, ErrorCode: code, Req: e.Req, Session: e.Session,
		Reason: e.Reason, Detail: e.Detail}
}
