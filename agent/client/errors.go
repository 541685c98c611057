package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// The errors of Do and Exchange, for errors.Is.
var (
	// ErrTimeout: no reply came within the timeout.
	ErrTimeout = errors.New("no reply came in time")
	// ErrConnectionLost: the connection was closed or reset before the reply came. The error also
	// wraps the cause: io.EOF if the agent closed it, net.ErrClosed if the Client was closed, or
	// an error of package net.
	ErrConnectionLost = errors.New("the connection was lost")
	// ErrWrongReply: the message that came does not answer the request. The error is a
	// *WrongReplyError.
	ErrWrongReply = errors.New("what came is no reply to the request")
	// ErrUnreachable: connecting failed, or the agent refused the connection by an alert of TLS before
	// it sent anything, as it does with a client's certificate over TLS 1.3. The error also wraps
	// the cause.
	ErrUnreachable = errors.New("the agent cannot be reached")
)

// A WrongReplyError is an ErrWrongReply with the message that came.
type WrongReplyError struct {
	// Reply is the message, if it could be decoded; nil otherwise.
	Reply *protocol.Reply
	// Problem says what is wrong with it, such as "a reply to step 3 instead of step 2".
	Problem string
}

// Error returns the problem.
func (e *WrongReplyError) Error() string { return e.Problem }

// Is reports whether target is ErrWrongReply.
func (e *WrongReplyError) Is(target error) bool { return target == ErrWrongReply }

// connectionLost returns an ErrConnectionLost with its cause.
func connectionLost(cause error) error {
	if errors.Is(cause, io.EOF) {
		cause = closedByAgent{}
	}
	return fmt.Errorf("%w: %w", ErrConnectionLost, cause)
}

// readFailed returns the error for a connection that cannot be read further; heard says that the agent
// has sent something on it.
func readFailed(cause error, heard bool) error {
	// By this operation crypto/tls marks an alert of the other side.
	if alert, ok := errors.AsType[*net.OpError](cause); ok && alert.Op == "remote error" && !heard {
		return fmt.Errorf("%w: %w", ErrUnreachable, cause)
	}
	return connectionLost(cause)
}

// closedByAgent is io.EOF with a text for users.
type closedByAgent struct{}

func (closedByAgent) Error() string { return "the agent closed it" }
func (closedByAgent) Unwrap() error { return io.EOF }

// failures are the reasons why none of the addresses could be connected to.
type failures []failure

// A failure is the reason why an address could not be connected to.
type failure struct {
	address string
	cause   error
}

// Error returns the cause alone where there is one address.
func (f failures) Error() string {
	if len(f) == 1 {
		return f[0].cause.Error()
	}
	texts := make([]string, len(f))
	for i, each := range f {
		texts[i] = each.address + ": " + each.cause.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the first cause after which trying again may help, or the first if there is none.
func (f failures) Unwrap() error {
	for _, each := range f {
		if !isFinal(each.cause) {
			return each.cause
		}
	}
	return f[0].cause
}

// A Stray is a message that does not answer the current request.
type Stray struct {
	Kind StrayKind
	// Reply is the message; nil for Garbage.
	Reply *protocol.Reply
	// Request is the request that the reply answers, without its data, if the stray is Late or a
	// Duplicate; zero otherwise.
	Request protocol.Request
	// Took is the time from the sending of Request to the arrival of the stray.
	Took time.Duration
	// Problem says what is wrong, for users.
	Problem string
}

// A StrayKind says why a message is a Stray.
type StrayKind uint8

// The kinds of strays.
const (
	// Late: the first reply to a request that had timed out or whose context had ended.
	Late StrayKind = iota + 1
	// Duplicate: a further reply to an answered request.
	Duplicate
	// Unsolicited: a reply that belongs to no known request.
	Unsolicited
	// Garbage: bytes that are not a reply. The connection is closed.
	Garbage
)

// String returns the kind in one word.
func (k StrayKind) String() string {
	names := [...]string{Late: "late", Duplicate: "duplicate", Unsolicited: "unsolicited", Garbage: "garbage"}
	if k == 0 || int(k) >= len(names) {
		return "none"
	}
	return names[k]
}
