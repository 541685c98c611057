package server

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/protocol"
)

// speaksTLS is the reply to a client that does not speak TLS where it must.
const speaksTLS = protocol.SpeaksTLS + "; connect with TLS, such as stepctl --tls, or to a port without it"

// begin waits for the first byte of a connection, which says whether the client speaks TLS, and makes
// the handshake if it does. False ends the connection.
func (w *worker) begin(mode Mode) bool {
	c, neverPark := w.conn, w.neverPark
	w.neverPark = true
	o := c.server.options.Load()
	limit := o.IdleTimeout
	if mode == TLS {
		limit = o.MessageTime
	}
	if !c.setPhase(idle, limit, 0) {
		w.refuseRest()
		return false
	}
	first := make([]byte, 1)
	_, err := w.Read(first)
	switch {
	case err != nil && mode == TLS && errors.Is(err, os.ErrDeadlineExceeded):
		w.handshakeFailed(err)
		return false
	case err != nil:
		return w.refuseUnread(err)
	case first[0] == firstOfTLS:
		return w.handshake(first)
	case mode == TLS:
		c.setBusy()
		c.warn(c.server.logLimits.bad, "bad message", slog.String("detail", "the client does not speak TLS, and this port does"))
		c.countRefused(protocol.BadMessage)
		c.sendLast(protocol.BadMessage, speaksTLS)
		return false
	}
	w.unread, w.neverPark = first, neverPark
	return true
}

// handshake makes the handshake of a client that has sent the first byte of one. False ends the
// connection. It is never parked: the loops read sockets.
func (w *worker) handshake(first []byte) bool {
	c := w.conn
	s, limit := c.server, c.server.options.Load().MessageTime
	if !s.addTLS(c) {
		c.sendOverload()
		return false
	}
	c.setPhase(reading, limit, drainTime)
	t := &transport{Conn: c.state.stream.(net.Conn), conn: c, first: first, running: true, until: time.Now().Add(limit)}
	over := tls.Server(t, s.tls)
	err := t.handshake(over)
	c.setBusy()
	if err != nil {
		w.handshakeFailed(err)
		return false
	}
	s.countHandshake(HandshakeOK)
	return w.secured(over, t)
}

// secured goes on with a connection whose handshake is complete.
func (w *worker) secured(over *tls.Conn, t *transport) bool {
	c := w.conn
	s, p := c.server, &peer{name: c.peer.text(), tls: over}
	identity, rule, err := t.options.identify(over.ConnectionState())
	if err != nil { // which the handshake has found out
		c.warn(s.logLimits.handshake, "connection refused", slog.String("detail", explain(err)))
		return false
	}
	p.identity = identity
	p.rule.Store(rule)
	c.mu.Lock()
	c.state.stream = &tlsStream{Conn: over, below: t}
	c.mu.Unlock()
	full := s.addPeer(c, p)
	if s.options.Load() != t.options && !s.recheck(c) { // options that came during the handshake
		return false
	}
	if full != "" {
		c.warn(s.logLimits.refused, "connection refused", slog.String("detail", full))
		c.sendLast(protocol.Busy, full)
		return false
	}
	c.connect()
	return true
}

// handshakeFailed counts and logs a handshake that has failed. The client gets the time to read the
// alert that says why.
func (w *worker) handshakeFailed(err error) {
	c := w.conn
	s := c.server
	if s.draining.Load() {
		return
	}
	outcome := HandshakeFailed
	var detail string
	refused, isRefused := errors.AsType[*notAllowedError](err)
	refusal, isTLS := certificate.Refusal(err)
	switch {
	case isRefused:
		outcome, detail = HandshakeRefused, refused.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		outcome, detail = HandshakeTimedOut, "it was not complete within "+s.options.Load().MessageTime.String()
	case isTLS:
		detail = refusal
	case errors.Is(err, errNoCertificate), errors.Is(err, errLongHandshake):
		detail = err.Error()
	default:
		detail = "the connection broke: " + err.Error()
	}
	s.countHandshake(outcome)
	c.warn(s.logLimits.handshake, "TLS handshake failed", slog.String("detail", detail))
	if outcome != HandshakeTimedOut {
		c.linger(maxLingerTime)
	}
}
