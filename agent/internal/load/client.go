package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A client pauses before it connects or sends again, and longer each time that it fails.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// bufferBytes holds any reply of the agent: a detail has at most 512 bytes.
const bufferBytes = 2048

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

// step makes one exchange; false when there was trouble.
func (c *client) step(ctx context.Context, due time.Time) bool {
	if c.conn == nil && !c.connect(ctx) {
		return false
	}
	e := &c.exchanges[c.place]
	line, err := c.exchange(e.Request, due)
	c.pace.now = time.Now()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.trouble(noReply, e, fmt.Sprintf("none came within %v", c.run.options.Wait))
	case err != nil:
		return c.trouble(lost, e, err.Error())
	}
	reply, rest := cut(line)
	if k := e.check(reply); k != right {
		return c.trouble(k, e, fmt.Sprintf("%q", reply))
	}
	if len(rest) > 0 {
		return c.trouble(unasked, e, fmt.Sprintf("%q after the reply", rest))
	}
	c.advance(due)
	return true
}

// exchange sends a request and returns what came up to the end of a line, and after it.
func (c *client) exchange(request []byte, due time.Time) ([]byte, error) {
	sent := c.pace.now
	if sent.Before(due) {
		sent = due
	}
	c.sent.Store(sent.UnixNano())
	defer c.sent.Store(0)
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	if c.buffer == nil {
		c.buffer = make([]byte, bufferBytes)
	}
	for n := 0; ; {
		got, err := c.conn.Read(c.buffer[n:])
		n += got
		if got > 0 && bytes.IndexByte(c.buffer[n-got:n], '\n') >= 0 || n == len(c.buffer) {
			return c.buffer[:n], nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Since(sent) < c.run.options.Wait {
			// The watch meant the request before this one.
			_ = c.conn.SetReadDeadline(time.Time{}) // fails only when closed
			continue
		}
		if err != nil {
			return nil, err
		}
	}
}

func cut(line []byte) (reply, rest []byte) {
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		return line[:end+1], line[end+1:]
	}
	return line, nil // a buffer full
}

// advance counts a verdict that is as it must be and goes on to the next exchange.
func (c *client) advance(due time.Time) {
	c.place++
	whole := c.place == len(c.exchanges)
	if c.finishing {
		c.tally.finishing(whole)
	} else {
		c.tally.right(due, c.pace.now, whole)
	}
	if whole {
		c.place = 0
	}
	switch c.run.options.Reconnect {
	case EachStep:
		c.disconnect()
	case EachSession:
		if whole {
			c.disconnect()
		}
	}
}

// trouble counts what went wrong with an exchange and has the client do what is to be done
// about it. It returns false.
func (c *client) trouble(k kind, e *Exchange, got string) bool {
	c.tally.trouble(k, fmt.Sprintf("client %d, step %d of its procedure: sent %s, got %s",
		c.number+1, c.place+1, bytes.TrimSpace(e.Request), got))
	if !k.again() {
		c.disconnect()
		c.begin()
	}
	return false
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
