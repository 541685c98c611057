// Package natsconn connects to NATS servers. It alone sets the options of nats.go, so that every
// connection of the agent and of stepctl comes and goes in the same way.
//
// A connection never gives up: while no server can be reached it is tried again, and what is published
// meanwhile fails at once instead of being kept. A wrong password is tried again too, as it may be set
// right at the server.
package natsconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pingInterval is the time between two pings. A server that has left two of them without an answer
	// is lost: a stopped one is noticed after three intervals.
	pingInterval = 2 * time.Second
	// connectTimeout bounds one try: the connection, TLS, and the first exchange with the server.
	connectTimeout = 5 * time.Second
	// writeTimeout bounds a write to a server whose side of the connection is full.
	writeTimeout = 5 * time.Second
	// closeTimeout bounds how long Close writes to the server.
	closeTimeout = time.Second
)

// Options say which servers to connect to, and as whom. Only URLs are needed.
type Options struct {
	// URLs are addresses of servers of one cluster, such as "nats://a:4222" or "tls://a:4222".
	URLs []string
	// Credentials is the path of a file with the JWT and the nkey of a user. It is read at each try.
	Credentials string
	// User and Password identify the user, where there are no credentials.
	User, Password string
	// CA is a PEM file with the CAs of the servers; empty for those of the system. Cert and Key are
	// PEM files with the certificate of this client. All are read at each try.
	CA, Cert, Key string
	// Name is how the servers list the connection.
	Name string
	// Log receives what happens to the connection; nil for none.
	Log *slog.Logger

	ping time.Duration // zero for pingInterval; tests shorten it
}

// An OptionError says which option is wrong.
type OptionError struct {
	// Option is url, credentials, ca or cert.
	Option string
	Err    error
}

// Error implements error.
func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Err }

// A Conn is a connection that comes and goes. Its methods are safe for concurrent use.
//
// Those of nats.Conn may wait for connectTimeout while a try to connect is in progress; Connected and
// Status never wait.
type Conn struct {
	*nats.Conn
	// JS publishes to streams and reads from them.
	JS jetstream.JetStream

	log   *slog.Logger
	ready chan struct{} // closed when Conn and JS are set
	dial  *dialer

	mu        sync.Mutex // guards the fields below; nothing is waited for while it is held
	server    string     // that is connected to; empty while there is none
	since     time.Time  // when that began
	connected time.Time  // since when; zero before the first time
	cause     error      // why there is no connection
	denied    string     // what the server has last refused
	closed    bool       // by Close
	watches   map[*watch]struct{}
}

// Connect begins to connect and returns at once. An *OptionError is the only error: an unreachable
// server is none. The caller must call Close.
func Connect(o Options) (*Conn, error) {
	c := &Conn{log: o.Log, ready: make(chan struct{}), since: time.Now(), watches: map[*watch]struct{}{}}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	options, err := c.options(o)
	if err != nil {
		return nil, err
	}
	if c.Conn, err = options.Connect(); err != nil {
		c.dial.stop()
		return nil, &OptionError{"url", fmt.Errorf("cannot connect to NATS: %w", plain(err))}
	}
	if c.JS, err = jetstream.New(c.Conn); err != nil {
		c.Conn.Close()
		return nil, err
	}
	close(c.ready)
	return c, nil
}

// Check returns the error that Connect would return, and connects to nothing.
func Check(o Options) error {
	c := &Conn{}
	_, err := c.options(o)
	if err == nil {
		c.dial.stop()
	}
	return err
}

// options returns the options of nats.go. After an error c.dial needs no stop.
func (c *Conn) options(o Options) (nats.Options, error) {
	ctx, stop := context.WithCancel(context.Background())
	c.dial = &dialer{to: c, ctx: ctx, stop: stop, dialer: net.Dialer{Timeout: connectTimeout}}
	c.dial.later.Store(int64(len(o.URLs)))
	options := nats.GetDefaultOptions()
	if len(o.URLs) == 0 {
		stop()
		return options, &OptionError{"url", errors.New("no server is named; write one such as nats://a:4222")}
	}
	options.Servers, options.Name, options.User, options.Password = o.URLs, o.Name, o.User, o.Password
	options.RetryOnFailedConnect, options.MaxReconnect, options.IgnoreAuthErrorAbort = true, -1, true
	options.ReconnectBufSize = -1
	options.PingInterval, options.Timeout, options.FlusherTimeout = cmp.Or(o.ping, pingInterval), connectTimeout, writeTimeout
	options.SkipHostLookup, options.CustomDialer = true, c.dial // the dialer resolves names, and can be stopped
	options.CustomReconnectDelayCB = c.delay
	options.ConnectedCB, options.ReconnectedCB = c.onConnect, c.onConnect
	options.DisconnectedErrCB = func(_ *nats.Conn, err error) { c.lose(err) }
	options.ReconnectErrCB = func(_ *nats.Conn, err error) { c.lose(err) }
	options.AsyncErrorCB = c.onError
	options.ClosedCB = c.onClosed
	for _, file := range []struct {
		option, path string
		use          func() nats.Option
	}{
		{"ca", o.CA, func() nats.Option { return nats.RootCAs(o.CA) }},
		{"cert", o.Cert, func() nats.Option { return nats.ClientCert(o.Cert, o.Key) }},
		{"credentials", o.Credentials, func() nats.Option { return nats.UserCredentials(o.Credentials) }},
	} {
		if file.path == "" {
			continue
		}
		err := file.use()(&options)
		if err == nil && file.option == "credentials" {
			err = readable(&options)
		}
		if err != nil {
			stop()
			return options, &OptionError{file.option, plain(err)}
		}
	}
	return options, nil
}

// readable returns why the credentials cannot be used, as nats.go reads them no earlier than it connects.
func readable(o *nats.Options) error {
	if _, err := o.UserJWT(); err != nil {
		return err
	}
	_, err := o.SignatureCB([]byte("nonce"))
	return err
}

// Leave leaves the server for another one if it has been connected to for that long and is not the only one
// known. It is for a caller that gets no answers over the connection, as from a server that has lost the
// others of its cluster. Requests that wait for an answer fail.
func (c *Conn) Leave(after time.Duration) {
	if connected, since := c.ConnectedSince(); !connected || time.Since(since) < after || len(c.Servers()) < 2 {
		return
	}
	c.lose(nil)
	_ = c.ForceReconnect() // fails after Close
}

// Close closes the connection, within a second or so. What has been published before is still written.
func (c *Conn) Close() {
	c.mu.Lock()
	c.closed = true
	atServer := c.server != ""
	c.mu.Unlock()
	c.dial.close(atServer)
	c.Conn.Close()
}
