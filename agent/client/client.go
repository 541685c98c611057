// Package client talks to an agent: one request at a time, with an answer that is surely
// the answer to that request, or an error that says why there is none.
//
//	c, err := client.Dial(ctx, "192.0.2.7:8080", client.Options{})
//	...
//	defer c.Close()
//	reply, err := c.Do(ctx, protocol.Request{StepID: 1, Timeout: protocol.Seconds(5 * time.Second)})
//
// Replies are matched by the request's own name, its req. A reply that comes too late is
// told to Options.OnStray and is never taken for the answer to another request. Agents that
// do not send the req back are served too, more carefully: see Client.
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

// DefaultDialTimeout is how long a connection may take to be made, unless set otherwise.
const DefaultDialTimeout = 5 * time.Second

// Options change what a Client does. The zero value is right for an agent of protocol 1.
type Options struct {
	// DialTimeout is how long a connection may take to be made; 0 means DefaultDialTimeout.
	DialTimeout time.Duration
	// MaxReplyBytes is the length of the longest reply that is read, in bytes; 0 means
	// protocol.DefaultMaxMessageBytes.
	MaxReplyBytes int
	// NoReq sends requests that have no req as they are. Otherwise they are given one that
	// no other request of any client has.
	NoReq bool
	// Plain does as clients do that know nothing of req: each request goes over a connection
	// of its own, with no newline behind it, and the connection is closed when the request
	// is answered or given up. It implies NoReq.
	Plain bool
	// Name is the client's own name and version, such as "stepctl 1.2.0": 1 to 64 printable
	// ASCII characters. The first request of each connection has it, unless the request is
	// too long already, and an agent that knows the question gives its own in the reply.
	// Empty to ask nothing. A Plain client does not ask.
	Name string
	// OnSent is called by Do when the request has a connection and is about to be written,
	// with the request as it goes out. nil for none.
	OnSent func(protocol.Request)
	// OnStray is called with everything that came and is no answer to the request at hand,
	// one call at a time. It must return soon, because no reply is read meanwhile, and must
	// not call the Client. nil for none.
	OnStray func(Stray)
	// Dial makes a connection; nil means that of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client sends requests to one agent over one connection, and over a new one when that is
// lost: the agent knows the session again by the request's session. Its methods may be
// called by many goroutines at once; requests wait for one another, and the wait counts
// towards the context's deadline, not towards the request's timeout.
//
// An agent that sends back the req of a request keeps its connection whatever happens to a
// reply. Before it has done so on a connection, and with an agent that never does, a reply
// can be told by its step_id alone. Then a connection is closed when a request times out,
// when a reply comes that nobody waits for, and when a step_id comes up a second time, so
// that no reply can be taken for that to another request.
type Client struct {
	address string
	opts    Options
	prefix  string
	// turn holds one token; who has it may send.
	turn chan struct{}

	// mu guards what follows, and what is inside of conn.
	mu     sync.Mutex
	conn   *conn // the last connection that was made; nil before the first
	closed bool
	count  uint64 // requests that were given a req
}

// Dial makes a Client and connects it to the agent at address, a host and a port. The error
// is ErrUnreachable, with its cause. The caller must Close the Client.
func Dial(ctx context.Context, address string, opts Options) (*Client, error) {
	if opts.DialTimeout <= 0 {
		opts.DialTimeout = DefaultDialTimeout
	}
	if opts.Dial == nil {
		opts.Dial = new(net.Dialer).DialContext
	}
	opts.NoReq = opts.NoReq || opts.Plain
	c := &Client{
		address: address,
		opts:    opts,
		// A session remembers the reqs that it has answered. A session name may be used
		// again, so the names of requests must not be.
		prefix: rand.Text()[:8],
		turn:   make(chan struct{}, 1),
	}
	c.turn <- struct{}{}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Close closes the connection. A Do that is under way returns ErrConnectionLost. When Close
// returns, OnStray is not called any more. It may be called again.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	cn := c.conn
	cn.hangUp(time.Now())
	c.mu.Unlock()
	<-cn.ended
	return nil
}

// connect replaces the connection. The caller has the turn, or nobody else has the Client.
func (c *Client) connect(ctx context.Context) error {
	if err := c.hangUp(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
	}
	dialCtx, cancel := context.WithTimeout(ctx, c.opts.DialTimeout)
	defer cancel()
	socket, err := c.opts.Dial(dialCtx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = socket.Close() // nothing was sent
		return lost(net.ErrClosed)
	}
	c.conn = newConn(socket)
	go c.read(c.conn)
	return nil
}

// hangUp ends the last connection and waits until nothing of it can be heard any more.
func (c *Client) hangUp() error {
	c.mu.Lock()
	old, closed := c.conn, c.closed
	if old != nil {
		old.hangUp(time.Now())
	}
	c.mu.Unlock()
	if old != nil {
		<-old.ended
	}
	if closed {
		return lost(net.ErrClosed)
	}
	return nil
}

// name gives a request its req, unless it has one or is to have none.
func (c *Client) name(r protocol.Request) protocol.Request {
	if r.Req.IsZero() && !c.opts.NoReq {
		c.mu.Lock()
		c.count++
		r.Req = protocol.TextReq(fmt.Sprintf("%s-%d", c.prefix, c.count))
		c.mu.Unlock()
	}
	return r
}
