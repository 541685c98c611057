package load

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// The first and the longest pause before a client connects or sends again. Each failure doubles it.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// A client performs its procedure over and over, on its own goroutine or parked in an event loop,
// see park.go.
type client struct {
	run       *run
	tally     *tally
	number    int
	cursor    cursor
	finishing bool // the load is over; the client completes its session
	pace      pace
	pause     time.Duration
	buffer    []byte
	partial   *partial // what an event loop did of the next exchange; nil for nothing
	sinceLoop int      // exchanges since the client left an event loop

	sent atomic.Int64 // when the request in flight was sent, in ns since run.made; 0 for none

	mu   sync.Mutex // guards conn, which the timeout watch uses too, and all of a parked client
	conn stream     // nil if there is none, and while the client is parked
	fd   int        // the socket of a parked client, else -1
}

// A stream is a connection as a client's goroutine uses it.
type stream interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
}

func newClient(r *run, number int) *client {
	c := &client{run: r, number: number, tally: r.tallies[number%len(r.tallies)], cursor: cursor{run: r, client: number},
		pause: firstPause, sinceLoop: parkAfter, fd: -1}
	c.cursor.newSession()
	return c
}

// start performs the procedure in the background until the load is over.
func (c *client) start() {
	c.pace = newPace(c.run, c.number)
	if c.run.loops == nil {
		go func() { c.loop(c.pace.next()) }()
		return
	}
	if due, ok := c.pace.next(); !ok || !c.park() {
		go c.loop(due, ok)
	}
}

// loop sends steps until the load is over or the client is parked. If ok, the first step is due at
// the given time; otherwise there is none.
func (c *client) loop(due time.Time, ok bool) {
	for ; ok; due, ok = c.pace.next() {
		if c.park() {
			return // the client may already have another goroutine
		}
		if !c.retryStep(due) {
			c.stop()
			return
		}
	}
	// Complete the session, so that the agent keeps none open. These steps are not measured.
	c.finishing = true
	for c.unfinished() && c.step(time.Now()) {
		continue
	}
	c.stop()
}

// retryStep sends steps until one has the expected reply. It returns false if the load ends first.
func (c *client) retryStep(due time.Time) bool {
	for !c.step(due) {
		if !c.backOff() {
			return false
		}
		if c.run.options.Rate == 0 {
			due = time.Now()
		}
	}
	c.pause = firstPause
	c.sinceLoop++
	return true
}

// backOff pauses after a failure. It returns false if the load is over.
func (c *client) backOff() bool {
	now := time.Now()
	if c.run.over(now) {
		return false
	}
	time.Sleep(min(c.pause, c.run.ends.Sub(now)))
	c.pause = min(2*c.pause, lastPause)
	return !c.run.over(time.Now())
}

// stop ends the client.
func (c *client) stop() {
	unsent := c.pace.left()
	c.tally.update(func(r *Result) { r.Unsent += uint64(unsent) })
	c.disconnect()
	c.run.running.Done()
}

// unfinished reports whether the session must be completed after the end of the load.
func (c *client) unfinished() bool { return c.cursor.next > 0 && !c.run.stopped.Load() }

// connect makes the client's connection. It returns false if that fails.
func (c *client) connect() bool {
	ctx, cancel := context.WithTimeout(c.run.ctx, c.run.options.Wait)
	defer cancel()
	conn, err := c.run.dialer.DialContext(ctx, "tcp", c.run.options.Address)
	switch {
	case err == nil:
	case c.run.ctx.Err() != nil, c.failTLS(err):
		return false
	default:
		c.tally.trouble(refused, dialProblem(err))
		return false
	}
	c.tally.update(func(r *Result) { r.Made++ })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return true
}

func (c *client) disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // all data was sent
		c.conn = nil
	}
}
