package natsstore

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A fate is what an attempt to store a record has come to.
type fate uint8

const (
	// unknown: it is stored or not, or may still be.
	unknown fate = iota
	// stored: it is stored.
	stored
	// conflicts: it is not stored, as the key has another sequence than the expected one.
	conflicts
	// inProcess: it is not stored, as an update of the key is in process, perhaps an earlier attempt.
	inProcess
	// refused: it is not stored, and the cause is not the key's.
	refused
)

// Codes of errors by which a server refuses a message before it stores it, besides those of package
// jetstream; see errors.json of nats-server.
const (
	codeAccountFull    jetstream.ErrorCode = 10002
	codeNotAvailable   jetstream.ErrorCode = 10008
	codeServerFull     jetstream.ErrorCode = 10023
	codeStoreFailed    jetstream.ErrorCode = 10077
	codeStreamSealed   jetstream.ErrorCode = 10109
	limitOfStoreFailed                     = "maximum " // begins the cause of codeStoreFailed that is a limit
)

// errNotConnected says that there is no connection at present. While one is being made, calls of package
// nats wait for it.
var errNotConnected = errors.New("not connected to NATS")

// fateOf returns the fate of an attempt by its error.
func fateOf(err error) fate {
	var answer *jetstream.APIError
	switch {
	case err == nil:
		return stored
	case errors.As(err, &answer):
		return fateOfAnswer(answer)
	case isDenied(err):
		return refused
	case errors.Is(err, jetstream.ErrNoStreamResponse): // no server has a subscription for it
		return refused
	case errors.Is(err, errNotConnected), errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrMaxPayload): // it was not sent
		return refused
	default:
		return unknown
	}
}

func fateOfAnswer(e *jetstream.APIError) fate {
	switch e.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence:
		return conflicts
	case jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return inProcess
	case codeAccountFull, codeNotAvailable, codeServerFull, codeStreamSealed, jetstream.JSErrCodeStreamMessageExceedsMaximum,
		jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return refused
	case codeStoreFailed:
		if strings.HasPrefix(e.Description, limitOfStoreFailed) {
			return refused
		}
	}
	return unknown
}

// isAnswer reports whether a server has answered with the error, so that the connection is not the cause.
func isAnswer(err error) bool {
	var answer *jetstream.APIError
	return errors.As(err, &answer) || isDenied(err)
}

// isDenied reports whether the user has no right to publish what an attempt sends: the server has dropped it.
func isDenied(err error) bool { return errors.Is(err, nats.ErrPermissionViolation) }

// deniedOr returns why the context of an attempt has ended if that was denied, and the error otherwise.
func deniedOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); isDenied(cause) {
		return cause
	}
	return err
}

// isAlone reports whether an attempt has failed as at a server that has lost the others of its cluster. Such a
// leader takes one update of each key, and does not know that it is none any more. A server that denies a right
// is left too: another one may know of the right already.
func isAlone(err error) bool {
	var answer *jetstream.APIError
	return !errors.As(err, &answer) || answer.ErrorCode == codeNotAvailable ||
		answer.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}
