package server

import "github.com/stepagent/stepagent/agent/protocol"

// Stats count connections and messages since the agent started.
type Stats struct {
	// Open is the number of open connections, Limit its limit.
	Open  int `json:"open"`
	Limit int `json:"limit"`
	// Accepted counts connections that were served, Refused those past a limit, and
	// NotAllowed those from addresses that are not served.
	Accepted   uint64 `json:"accepted"`
	Refused    uint64 `json:"refused"`
	NotAllowed uint64 `json:"not_allowed"`
	// RefusedMessages counts messages that no validator was asked about: the reply had the reason
	// bad_message, bad_request, busy, shutting_down or internal.
	RefusedMessages uint64 `json:"messages_refused"`
	// RefusedByReason are those by the reason of the reply, with each of RefusalReasons.
	RefusedByReason map[protocol.Reason]uint64 `json:"messages_refused_by_reason"`
	// TLS is the number of open connections with TLS, those in a handshake too; TLSLimit its limit.
	TLS      int `json:"tls"`
	TLSLimit int `json:"tls_limit"`
	// TLSRefused counts the handshakes that did not succeed.
	TLSRefused uint64 `json:"tls_refused"`
	// Handshakes are all of them by their outcome, with each of HandshakeOutcomes.
	Handshakes map[HandshakeOutcome]uint64 `json:"tls_handshakes"`
}

// RefusalReasons returns the reasons of messages that no validator is asked about.
func RefusalReasons() []protocol.Reason {
	return []protocol.Reason{protocol.BadMessage, protocol.BadRequest, protocol.Busy, protocol.ShuttingDown, protocol.Internal}
}

// A HandshakeOutcome is how a TLS handshake ended.
type HandshakeOutcome string

// The outcomes of a handshake.
const (
	HandshakeOK HandshakeOutcome = "ok"
	// HandshakeFailed: a certificate, a version or a message was not accepted by one of both sides, or
	// the connection broke.
	HandshakeFailed HandshakeOutcome = "failed"
	// HandshakeTimedOut: it was not complete within Options.MessageTime.
	HandshakeTimedOut HandshakeOutcome = "timed_out"
	// HandshakeRefused: the certificate is valid, but no rule of Options.Clients has its identity.
	HandshakeRefused HandshakeOutcome = "refused"
)

// HandshakeOutcomes returns all outcomes.
func HandshakeOutcomes() []HandshakeOutcome {
	return []HandshakeOutcome{HandshakeOK, HandshakeFailed, HandshakeTimedOut, HandshakeRefused}
}

// newStats returns counts of nothing.
func newStats() Stats {
	n := Stats{RefusedByReason: map[protocol.Reason]uint64{}, Handshakes: map[HandshakeOutcome]uint64{}}
	for _, reason := range RefusalReasons() {
		n.RefusedByReason[reason] = 0
	}
	for _, outcome := range HandshakeOutcomes() {
		n.Handshakes[outcome] = 0
	}
	return n
}
