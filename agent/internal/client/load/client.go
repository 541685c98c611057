package load

import (
	"fmt"
	"io"
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

// A client performs its procedure over and over, on a goroutine of its own or, while nothing
// unusual happens, parked in an event loop, see park.go.
type client struct {
	run       *run
	tally     *tally
	number    int
	sessions  int    // begun
	session   string // the name of the last; empty where connections name them
	exchanges []Exchange
	place     int // of the next exchange
	finishing bool
	pace      pace
	pause     time.Duration
	buffer    []byte
	begun     *handover // of the next exchange; nil when nothing of it has been done
	calm      int       // exchanges since something unusual happened

	sent atomic.Int64 // when the request in flight was sent, ns since the run was made; 0 for none

	mu   sync.Mutex // for conn, which the watch needs as well, and for all of a parked client
	conn stream     // nil when there is none, and while the client is parked
	fd   int        // the socket of a parked client, else -1
}

// A stream is what a client's goroutine needs of a connection.
type stream interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
}

func newClient(r *run, number int) *client {
	c := &client{run: r, number: number, tally: r.tallies[number%len(r.tallies)], pause: firstPause, calm: calmAfter, fd: -1}
	c.begin()
	return c
}

// begin makes the client's next exchange the first of a new session.
func (c *client) begin() {
	c.sessions++
	if c.run.options.Reconnect == EachStep {
		c.session = fmt.Sprintf("%s-%d-%d", c.run.name, c.number, c.sessions)
	}
	c.again()
}

// again makes the client's next exchange the first of the procedure, in a session of the same name.
func (c *client) again() {
	c.place, c.exchanges = 0, c.run.options.Plan.Exchanges(c.session)
}

// perform has a loop or a goroutine send steps until the load is over.
func (c *client) perform() {
	c.pace = newPace(c.run, c.number)
	if c.run.loops == nil {
		go func() { c.goOn(c.pace.first()) }()
		return
	}
	if due, ok := c.pace.first(); !ok || !c.park() {
		go c.goOn(due, ok)
	}
}

// goOn sends steps until the load is over or the client is parked. The first is due at a time,
// unless ok says that there is none.
func (c *client) goOn(due time.Time, ok bool) {
	for ; ok; due, ok = c.pace.next() {
		if c.park() {
			return // it may have another goroutine already
		}
		if !c.insist(due) {
			c.end()
			return
		}
	}
	c.finish()
	c.end()
}

// insist sends a step until it or another in its place has the reply that it must get; false
// when the load is over before.
func (c *client) insist(due time.Time) bool {
	for !c.step(due) {
		if !c.rest() {
			return false
		}
		if c.run.options.Rate == 0 {
			due = time.Now()
		}
	}
	c.pause = firstPause
	c.calm++
	return true
}

// end is the last that a client does.
func (c *client) end() {
	c.tally.skip(c.pace.left())
	c.disconnect()
	c.run.running.Done()
}

// finish takes the session that is under way at the end of the load to its last step, so that
// the agent has no session to keep open for nobody. What these steps take is not counted.
func (c *client) finish() {
	c.finishing = true
	for c.unfinished() && c.step(time.Now()) {
		continue
	}
}

// unfinished reports whether the session is to be taken further after the end of the load.
func (c *client) unfinished() bool { return c.place > 0 && !c.run.stopped.Load() }

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
func (c *client) connect() bool {
	dialer := net.Dialer{Timeout: c.run.options.Wait, KeepAlive: -1}
	conn, err := dialer.DialContext(c.run.ctx, "tcp", c.run.options.Address)
	if err != nil {
		if c.run.ctx.Err() == nil {
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
