package client

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// What Do returns instead of a reply, for errors.Is.
var (
	// ErrTimeout: no reply came within the timeout.
	ErrTimeout = errors.New("no reply came in time")
	// ErrConnectionLost: the connection was closed or reset before the reply came. The error
	// wraps the cause too: io.EOF when the agent closed it, net.ErrClosed when the Client was
	// closed, else an error of package net.
	ErrConnectionLost = errors.New("the connection was lost")
	// ErrWrongReply: what came is no reply to the request. The error is a *WrongReplyError.
	ErrWrongReply = errors.New("what came is no reply to the request")
	// ErrUnreachable: no connection could be made. The error wraps the cause too.
	ErrUnreachable = errors.New("the agent cannot be reached")
)

// A WrongReplyError is an ErrWrongReply, with what came.
type WrongReplyError struct {
	// Reply is what came, when it was a reply; nil otherwise.
	Reply *protocol.Reply
	// Problem says what is wrong with it, in lower case and without a full stop.
	Problem string
}

// Error returns the problem.
func (e *WrongReplyError) Error() string { return e.Problem }

// Is reports whether target is ErrWrongReply.
func (e *WrongReplyError) Is(target error) bool { return target == ErrWrongReply }

// lost says that a connection is gone.
func lost(cause error) error {
	if errors.Is(cause, io.EOF) {
		cause = closedByAgent{}
	}
	return fmt.Errorf("%w: %w", ErrConnectionLost, cause)
}

// closedByAgent is io.EOF in words.
type closedByAgent struct{}

func (closedByAgent) Error() string { return "the agent closed it" }
func (closedByAgent) Unwrap() error { return io.EOF }

// A Stray is something that came and is no answer to the request at hand.
type Stray struct {
	Kind StrayKind
	// Reply is what came; nil when it was garbage.
	Reply *protocol.Reply
	// Request is the request that the reply answers, without its data, when the stray is
	// late or a duplicate; it is zero otherwise.
	Request protocol.Request
	// Took is the time from the sending of that request.
	Took time.Duration
	// Problem says what is wrong, in lower case and without a full stop.
	Problem string
}

// StrayKind says why a Stray is one.
type StrayKind uint8

// The kinds of strays.
const (
	// Late: the first reply to a request that had timed out or had been given up.
	Late StrayKind = iota + 1
	// Duplicate: a further reply to a request that had one.
	Duplicate
	// Unsolicited: a reply that cannot be told to be one to any request.
	Unsolicited
	// Garbage: bytes that are no reply. The connection is closed.
	Garbage
)

// String returns the kind in one word.
func (k StrayKind) String() string {
	switch k {
	case Late:
		return "late"
	case Duplicate:
		return "duplicate"
	case Unsolicited:
		return "unsolicited"
	case Garbage:
		return "garbage"
	default:
		return "none"
	}
}
