package tlsdial

import (
	"crypto/tls"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A RefusedError says that client and agent cannot agree on TLS. Trying again is of no use until a
// certificate or a setting has changed.
type RefusedError struct {
	// Sentence says whose certificate or which port, why, and what to do.
	Sentence string
	// Err is the error of package crypto/tls; nil for a client without TLS.
	Err error
}

// Error returns the sentence.
func (e *RefusedError) Error() string { return e.Sentence }

// Final returns true, so that a client does not try again.
func (e *RefusedError) Final() bool { return true }

// Unwrap returns Err.
func (e *RefusedError) Unwrap() error { return e.Err }

// internalError is an alert of RFC 8446, section 6.2: what an agent sends that has too many connections.
const internalError tls.AlertError = 80

// isOverload reports whether an error is that alert of the agent.
func isOverload(err error) bool {
	alert, _, ok := certificate.RemoteAlert(err)
	return ok && alert == internalError
}

// PlainRefused returns a *RefusedError if the reply to a message without TLS says that the port speaks
// TLS, and nil for other replies.
func PlainRefused(reply *protocol.Reply) error {
	if !reply.NeedsTLS() {
		return nil
	}
	return &RefusedError{Sentence: "the port speaks TLS; add --tls, and --ca with the CA of the agent's certificate"}
}
