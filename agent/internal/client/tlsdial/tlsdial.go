// Package tlsdial opens connections to agents over TLS. Where client and agent cannot agree on it,
// the error is a *RefusedError: one sentence that says whose certificate or which port, why, and what
// to do. It is the same whether the handshake failed or, as TLS 1.3 has it for a client's
// certificate, the first read.
package tlsdial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
)

// A Dialer opens connections. It is safe for concurrent use if its functions are.
type Dialer struct {
	// Config is that of package certificate. Without a ServerName, the host of the address is the
	// name that the agent's certificate must have. nil opens connections without TLS.
	Config *tls.Config
	// Dial opens the TCP connection; nil means the DialContext of a zero net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// OnHandshake is called with each connection over TLS, before it is used. nil means no call.
	OnHandshake func(tls.ConnectionState)
}

// DialContext opens a connection to a host and a port and performs the handshake. ctx bounds both.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dial := d.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	socket, err := dial(ctx, network, address)
	if err != nil || d.Config == nil {
		return socket, err
	}
	config := d.Config.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address) // dial has taken it
	}
	conn := &conn{Conn: tls.Client(socket, config), own: Own(config), address: address}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = socket.Close() // nothing was sent
		return nil, conn.explain(err, fmt.Errorf("TLS handshake with %s: %w", address, err))
	}
	if d.OnHandshake != nil {
		d.OnHandshake(conn.ConnectionState())
	}
	return conn, nil
}

// Own returns the client's certificate in a config; nil for none.
func Own(config *tls.Config) *x509.Certificate {
	if len(config.Certificates) == 0 {
		return nil
	}
	return config.Certificates[0].Leaf
}

// A conn is a connection over TLS whose errors say why the agent refused it.
type conn struct {
	*tls.Conn
	own     *x509.Certificate
	address string
	heard   bool // the agent has sent something, so it has accepted the connection; of the reader
}

// Read reads what the agent sends. An alert that comes first is a *RefusedError.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard = true
	}
	if err == nil || c.heard {
		return n, err
	}
	return n, c.explain(err, err)
}

// explain returns a *RefusedError for an error of TLS, and other for one of the connection. An agent
// that has too many connections has refused nothing: it may take the next one.
func (c *conn) explain(err, other error) error {
	if isOverload(err) {
		return fmt.Errorf("the agent at %s takes no further connection over TLS at present: %w", c.address, err)
	}
	if sentence, ok := certificate.Explain(err, c.own, c.address); ok {
		return &RefusedError{Sentence: sentence, Err: err}
	}
	return other
}
