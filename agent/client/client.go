// Package client sends requests to an agent, one at a time. Each request gets its own reply, or an
// error that says why there is none.
//
//	c, err := client.Dial(ctx, "192.0.2.7:8080", client.Options{})
//	...
//	defer c.Close()
//	reply, err := c.Do(ctx, protocol.Request{StepID: 1, Timeout: protocol.Seconds(5 * time.Second)})
//
// Replies are matched by the req, the id of a request. A late reply goes to Options.OnStray and is
// never returned for another request. Agents that do not send the req back are supported under
// stricter rules, see Client.
package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// DefaultDialTimeout is the default of Options.DialTimeout.
const DefaultDialTimeout = 5 * time.Second

// Options configure a Client. The zero value suits an agent of protocol 1.
type Options struct {
	// DialTimeout limits how long connecting to an address takes; 0 means DefaultDialTimeout.
	DialTimeout time.Duration
	// MaxReplyBytes is the length of the longest accepted reply, in bytes; 0 means
	// protocol.DefaultMaxMessageBytes.
	MaxReplyBytes int
	// NoReq sends requests that have no req as they are. Otherwise they get a req that is
	// unique among all clients.
	NoReq bool
	// Plain behaves like a client that does not know the req: each request has a connection of
	// its own and ends without a newline, and the connection is closed after the reply or the
	// error. It implies NoReq.
	Plain bool
	// Name is the name and version of the client program, such as "stepctl 1.2.0": 1 to 64
	// printable ASCII characters. The first request of each connection carries it, unless its
	// data is long, and an agent that supports this sends its own in Reply.Agent. Empty sends
	// none, and so does Plain.
	Name string
	// RetryFor limits how long a request that got no verdict is sent again, counted from the first
	// failure, see Client.Do; 0 means DefaultRetryFor, and less never. The timeout of the request
	// limits it too. NoReq implies never.
	RetryFor time.Duration
	// OnRetry is called by Do and Exchange with each try that got no verdict and after which they wait:
	// for the next try, or for the end of the request's timeout. It is also called before the first
	// try if the connection was lost since the request before. nil means no call.
	OnRetry func(Retry)
	// OnSent is called by Do and Exchange with the request as it is sent, just before it is
	// written, each time. nil means no call.
	OnSent func(protocol.Request)
	// OnStray is called with each message that does not answer the current request. Calls do
	// not overlap. It must return soon, because no reply is read meanwhile, and must not call
	// the Client. nil means no call.
	OnStray func(Stray)
	// Fallbacks are the addresses of further agents, in order, that share their sessions with the agent of
	// Dial's address, or further addresses of that agent. See Client.
	Fallbacks []string
	// Dial opens a connection; nil means the DialContext of a zero net.Dialer. That of a tls.Dialer
	// opens connections over TLS.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client sends requests to one agent over one connection, and over a new one after that is lost:
// the agent finds the session by the request's session field.
//
// With Options.Fallbacks it has several addresses. Dial connects to the first that it can connect to. The
// Client stays with an address until a request gets no verdict there or the connection is lost, see Do. Then
// it goes on with the next, and after the last with the first, with the same session and req. It does not
// return to an earlier address before that. A request is tried once at each address without a pause between
// them; then comes a pause, as between two tries at one address. While further addresses of such a round are
// left, connecting may take only a share of the time that the request has left, once it was sent. A connection
// whose host has been silent for 5 seconds, even for TCP, counts as lost. A Client that sends no request again,
// see Options.RetryFor, keeps the address to which Dial has connected.
//
// Its methods are safe for concurrent use. Concurrent requests are sent one after the other; the time that a
// request waits for others counts towards the context's deadline, but not towards its own timeout.
//
// Once the agent has sent a req back, late replies can be recognized and the connection stays open
// after a timeout. Before that, and with an agent that never does, only the step_id identifies a
// reply. Then the connection is closed after a timeout, after a reply to no request, and before a
// step_id is sent a second time, so that no reply can be matched to the wrong request.
type Client struct {
	addresses []string
	opts      Options
	prefix    string
	// turn is a semaphore: it holds one token, which the goroutine that sends has taken.
	turn chan struct{}
	// awayUntil is when a request ended last while the agent was away; zero for never. It is guarded by the
	// turn.
	awayUntil time.Time

	mu     sync.Mutex // guards the rest, and the fields of conn
	at     int        // index of the address in use
	conn   *conn      // the latest connection; nil before the first
	closed bool
	echoed bool   // the agent has sent a req back, over any connection
	count  uint64 // number of generated reqs
}

// Dial returns a Client that is connected to the agent at address, which is a host and a port, or to the
// first of Options.Fallbacks that can be reached. ctx bounds only the connecting. The error is ErrUnreachable
// and wraps its cause. The caller must Close the Client.
func Dial(ctx context.Context, address string, opts Options) (*Client, error) {
	if opts.DialTimeout <= 0 {
		opts.DialTimeout = DefaultDialTimeout
	}
	if opts.Dial == nil {
		opts.Dial = new(net.Dialer).DialContext
	}
	if opts.RetryFor == 0 {
		opts.RetryFor = DefaultRetryFor
	}
	opts.NoReq = opts.NoReq || opts.Plain
	c := &Client{
		addresses: append([]string{address}, opts.Fallbacks...),
		opts:      opts,
		// The agent's replay cache knows the reqs of a session. Session names may be reused, so
		// reqs must be unique.
		prefix: rand.Text()[:8],
		turn:   make(chan struct{}, 1),
	}
	c.turn <- struct{}{}
	if err := c.connectFirst(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Close closes the connection. A pending Do returns ErrConnectionLost, and so does each later one.
// After Close has returned, OnStray is not called any more. Close always returns nil and may be
// called again.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	cn := c.conn
	cn.close(time.Now())
	c.mu.Unlock()
	<-cn.ended
	return nil
}

// Address returns the address in use: that of the present connection, or the one that the next connection
// will be made to.
func (c *Client) Address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addresses[c.at]
}

// move goes on to the next address. The next request is not sent over the present connection, unless there
// is one address alone. The caller holds the turn, or Dial has not returned yet.
func (c *Client) move() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = (c.at + 1) % len(c.addresses)
}

// connectFirst connects to the first address that it can connect to. Dial has not returned yet.
func (c *Client) connectFirst(ctx context.Context) error {
	var failed failures
	for range c.addresses {
		socket, err := c.dial(ctx)
		if err == nil {
			return c.use(socket)
		}
		failed = append(failed, failure{c.Address(), err})
		if ctx.Err() != nil {
			break
		}
		c.move()
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, failed)
}

// connect replaces the connection by one to the address in use. The caller holds the turn.
func (c *Client) connect(ctx context.Context) error {
	if err := c.disconnect(); err != nil {
		return err
	}
	socket, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return c.use(socket)
}

// dial opens a connection to the address in use.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.DialTimeout)
	defer cancel()
	return c.opts.Dial(ctx, "tcp", c.Address())
}

// use makes the connection over the socket that of the Client, and starts its reader.
func (c *Client) use(socket net.Conn) error {
	if len(c.addresses) > 1 {
		noticeDeadPeer(socket)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = socket.Close() // nothing was sent
		return connectionLost(net.ErrClosed)
	}
	c.conn = newConn(socket, c.at)
	go c.read(c.conn)
	return nil
}

// disconnect closes the connection and waits until its reader has ended.
func (c *Client) disconnect() error {
	c.mu.Lock()
	old, closed := c.conn, c.closed
	if old != nil {
		old.close(time.Now())
	}
	c.mu.Unlock()
	if old != nil {
		<-old.ended
	}
	if closed {
		return connectionLost(net.ErrClosed)
	}
	return nil
}

// withReq adds a generated req to a request that has none, unless Options.NoReq is set.
func (c *Client) withReq(r protocol.Request) protocol.Request {
	if r.Req.IsZero() && !c.opts.NoReq {
		c.mu.Lock()
		c.count++
		r.Req = protocol.TextReq(fmt.Sprintf("%s-%d", c.prefix, c.count))
		c.mu.Unlock()
	}
	return r
}
