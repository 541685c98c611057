package natsconn

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// errLater fails the tries that nats.go makes before Connect returns.
var errLater = errors.New("not tried yet")

// A dialer opens the connections of a Conn. It implements nats.CustomDialer. nats.go holds the lock of
// its connection meanwhile, so that a try must be bounded, and end when the Conn is closed.
type dialer struct {
	to     *Conn
	ctx    context.Context
	stop   context.CancelFunc
	dialer net.Dialer
	later  atomic.Int64 // tries that fail with errLater

	mu   sync.Mutex // guards the field below
	last net.Conn
}

// Dial opens a connection to a server.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if d.later.Add(-1) >= 0 {
		return nil, errLater
	}
	d.to.lose(nil)
	conn, err := d.dialer.DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = conn
	if d.ctx.Err() != nil {
		_ = conn.Close() // nothing was written
	}
	return conn, nil
}

// close ends a try that is in progress. A connection to a server stays open until it is closed, for
// closeTimeout at most.
func (d *dialer) close(atServer bool) {
	d.stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.last == nil:
	case atServer:
		last := d.last
		time.AfterFunc(closeTimeout, func() { _ = last.Close() }) // most often it is closed by then
	default:
		_ = d.last.Close()
	}
}

const (
	// shortestDelay is the delay after the second round of tries, which each further round doubles up
	// to longestDelay.
	shortestDelay = 100 * time.Millisecond
	longestDelay  = 2 * time.Second
)

// delay returns how long to wait after a round of tries of all servers: nothing after the first, unless
// a server has accepted this connection a moment ago and dropped it.
func (c *Conn) delay(round int) time.Duration {
	<-c.ready
	if err := c.LastError(); err != nil {
		c.lose(err) // what is found after the connection is open, such as a wrong password
	}
	c.mu.Lock()
	dropped := !c.connected.IsZero() && time.Since(c.connected) < longestDelay
	c.mu.Unlock()
	if round <= 1 && !dropped {
		return 0
	}
	longest := longestDelay
	if !dropped {
		longest = min(longest, shortestDelay<<min(round, 10))
	}
	return longest/2 + rand.N(longest/2) // boards that lose a server do not all come back at once
}
