package load

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A client pauses before it connects or sends again, and longer each time that it fails.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// A client performs its procedure over and over on a goroutine of its own.
type client struct {
	run       *run
	tally     *tally
	number    int
	sessions  int // begun
	exchanges []Exchange
	place     int // of the next exchange
	finishing bool
	pace      pace
	pause     time.Duration
	buffer    []byte

	sent atomic.Int64 // when the request in flight was sent, Unix time in ns; 0 for none

	mu   sync.Mutex // for conn, which the watch needs as well
	conn net.Conn
}

func newClient(r *run, number int) *client {
	c := &client{run: r, number: number, tally: r.tallies[number%len(r.tallies)], pause: firstPause}
	c.begin()
	return c
}

// begin makes the client's next exchange the first of a new session.
func (c *client) begin() {
	c.place = 0
	c.sessions++
	session := ""
	if c.run.options.Reconnect == EachStep {
		session = fmt.Sprintf("%s-%d-%d", c.run.name, c.number, c.sessions)
	}
	c.exchanges = c.run.options.Plan.Exchanges(session)
}

// perform sends steps until the load is over.
func (c *client) perform(ctx context.Context) {
	defer c.disconnect()
	c.pace = newPace(c.run, c.number)
	for due, ok := c.pace.first(); ok; due, ok = c.pace.next() {
		for !c.step(ctx, due) {
			// The same or another step takes the place of the one that failed, once the pause
			// is over.
			if !c.rest() {
				c.tally.skip(c.pace.left())
				return
			}
			if c.run.options.Rate == 0 {
				due = time.Now()
			}
		}
		c.pause = firstPause
	}
	c.tally.skip(c.pace.left())
	c.finish(ctx)
}

// finish takes the session that is under way at the end of the load to its last step, so that
// the agent has no session to keep open for nobody. What these steps take is not counted.
func (c *client) finish(ctx context.Context) {
	c.finishing = true
	for c.place > 0 && !c.run.stopped.Load() && c.step(ctx, time.Now()) {
		continue
	}
}

// rest pauses after trouble; false when the load is over.
func (c *client) rest() bool {
	now := time.Now()
	if c.run.over(now) {
		return false
	}
	time.Sleep(min(c.pause, c.run.ends.Sub(now)))
	c.pause = min(2*c.pause, lastPause)
	return !c.run.over(time.Now())
}

// connect makes the client's connection; false when that fails.
func (c *client) connect(ctx context.Context) bool {
	dialer := net.Dialer{Timeout: c.run.options.Wait, KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", c.run.options.Address)
	if err != nil {
		if ctx.Err() == nil {
			c.tally.trouble(refused, dialProblem(err))
		}
		return false
	}
	c.tally.connected()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return true
}

func (c *client) disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // nothing is left to be sent
		c.conn = nil
	}
}

// expire ends the wait for a reply to a request that was sent before.
func (c *client) expire(before time.Time) {
	if sent := c.sent.Load(); sent == 0 || sent > before.UnixNano() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.SetReadDeadline(time.Now()) // fails only when closed
	}
}
