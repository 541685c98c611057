package server

import (
	"errors"
	"os"
	"time"
)

// A goroutine that has had a step judged has a stack four times as large as one that only
// waits, and keeps it. For a client that is quiet that would be most of what its connection
// takes, so another goroutine then waits in its place. Clients that come back soon after that
// are given longer, and those of a busy agent soon have goroutines that stay.
const (
	firstNap = 20 * time.Millisecond
	lastNap  = time.Second
	// napGrowth is by how much longer, so that a client does not cost several of them.
	napGrowth = 8
)

// naps is what a connection knows about waiting. Its goroutine's alone but for the deadline.
type naps struct {
	nap        time.Duration // how long a client is quiet before another goroutine waits
	quietSince time.Time
	rested     bool // the goroutine at hand has only waited so far
	napping    bool // another goroutine is to go on
}

// errNap is what a Read returns that another goroutine is to take up.
var errNap = errors.New("the client is quiet")

// wake notes that the goroutine at hand has more to do than wait.
func (n *naps) wake() {
	if n.rested {
		n.nap = min(napGrowth*n.nap, lastNap)
	}
	n.rested = false
}

// Read reads what the reader of messages wants, within what enter allows.
func (c *conn) Read(b []byte) (int, error) {
	for {
		n, err := c.nc.Read(b)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if early := c.early(); early == nil || errors.Is(early, errNap) {
			if early != nil {
				return 0, early
			}
			continue
		}
		return n, err
	}
}

// early looks at a deadline that has passed: nil when it was that of something earlier, and
// reading goes on; errNap when another goroutine is to go on; else it was the true one.
func (c *conn) early() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.server.draining.Load() {
		return os.ErrDeadlineExceeded
	}
	if c.phase != idle || c.rested {
		return c.reads.early(now, c.reads.at, c.nc.SetReadDeadline)
	}
	if now.Sub(c.quietSince) < c.nap { // a busy client
		c.nap = min(napGrowth*c.nap, lastNap)
		return c.reads.early(now, c.quietSince.Add(c.nap), c.nc.SetReadDeadline)
	}
	err := c.reads.early(now, c.reads.at, c.nc.SetReadDeadline)
	if err == nil {
		c.rested = true
		err = errNap
	}
	return err
}
