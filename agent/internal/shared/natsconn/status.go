package natsconn

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// Connected reports whether there is a connection to a server. It never waits.
func (c *Conn) Connected() bool {
	connected, _ := c.ConnectedSince()
	return connected
}

// ConnectedSince is Connected, and since when that is so. It never waits.
func (c *Conn) ConnectedSince() (connected bool, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server != "", c.since
}

// Status says which server is connected to, or why none is and what to do. It never waits.
func (c *Conn) Status() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.server != "" && c.denied != "":
		return fmt.Sprintf("connected to %s, which has refused something: %s; give the user this right", c.server, c.denied)
	case c.server != "":
		return "connected to " + c.server
	case c.closed:
		return "not connected: closed"
	case c.cause == nil:
		return "not connected yet"
	default:
		return "not connected: " + explain(c.cause)
	}
}

// Refused reports whether the server has refused something on this connection; Status says what.
func (c *Conn) Refused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server != "" && c.denied != ""
}

// lose notes that there is no connection, and why; nil leaves the cause as it is.
func (c *Conn) lose(cause error) {
	if errors.Is(cause, errLater) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.cause == nil && cause != nil
	if c.server != "" {
		c.server, c.since = "", time.Now()
	}
	if cause != nil {
		c.cause = cause
	}
	switch {
	case !first || c.closed:
	case c.connected.IsZero():
		c.log.Warn("NATS cannot be reached; it is tried again", slog.String("cause", explain(cause)))
	default:
		c.log.Warn("the connection to NATS is lost; it is tried again", slog.String("cause", explain(cause)))
	}
}

func (c *Conn) onConnect(nc *nats.Conn) {
	server := nc.ConnectedUrlRedacted()
	if server == "" {
		return // it is lost already
	}
	c.mu.Lock()
	c.server, c.cause, c.denied = server, nil, ""
	c.since = time.Now()
	c.connected = c.since
	c.mu.Unlock()
	c.log.Info("connected to NATS", slog.String("server", server))
}

// onError is told of what a server refuses on an open connection, and of subscriptions that lose messages.
func (c *Conn) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	text := plain(err).Error()
	c.mu.Lock()
	known := c.denied == text
	if errors.Is(err, nats.ErrPermissionViolation) {
		c.denied = text
		c.deny(plain(err))
	}
	c.mu.Unlock()
	if !known { // each publication would be told
		c.log.Warn("NATS reports an error", slog.String("error", text))
	}
}

// onClosed is told of the end of the connection: by Close, or by an error that nats.go does not survive.
func (c *Conn) onClosed(nc *nats.Conn) {
	cause := nc.LastError()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != "" {
		c.server, c.since = "", time.Now()
	}
	if c.closed {
		return
	}
	if cause == nil {
		cause = nats.ErrConnectionClosed
	}
	c.cause = fmt.Errorf("%w: %w", errEnded, cause)
	c.log.Error("the connection to NATS has ended", slog.String("cause", explain(c.cause)))
}

var errEnded = errors.New("the connection has ended for good")

// explain returns what an error says, without the prefix of nats.go, and what to do.
func explain(err error) string {
	text := plain(err).Error()
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errEnded):
		return text + "; restart this program"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired):
		return text + "; check the credentials, or the user and the password"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server has no TLS; take out the CA and the certificate, or switch TLS on at the server"
	case isCertificate(err):
		return text + "; check the CA, and the name in the server's certificate"
	case errors.Is(err, nats.ErrTLS):
		return text + "; check the certificates of both sides"
	case errors.As(err, &dns):
		return text + "; correct the name, or check the name server"
	case errors.Is(err, syscall.ECONNREFUSED):
		return text + "; start the server, or correct its address"
	case errors.Is(err, nats.ErrNoInfoReceived), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return text + "; see whether there is a NATS server at the address"
	case errors.Is(err, nats.ErrStaleConnection):
		return "the server has not answered for " + (3 * pingInterval).String() + "; see whether it is running and can be reached"
	case errors.Is(err, nats.ErrNoServers):
		return "no server answers; start one, or correct its address"
	case errors.As(err, &timeout) && timeout.Timeout():
		return text + "; check the address, and the network to it"
	default:
		return text
	}
}

func isCertificate(err error) bool {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid)
}

// plain returns the error without the prefix of nats.go.
func plain(err error) error { return plainError{err} }

type plainError struct{ error }

func (e plainError) Error() string { return strings.ReplaceAll(e.error.Error(), "nats: ", "") }

func (e plainError) Unwrap() error { return e.error }
