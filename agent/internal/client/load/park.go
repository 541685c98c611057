package load

import (
	"bytes"
	"os"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// In a closed loop over lasting connections, a client is parked: it has no goroutine, and an event
// loop reads the replies, checks and counts them, and sends the next request. The client gets a
// goroutine back for everything but a single complete, expected reply, and at the end of its last
// session. The goroutine completes the exchange in flight, so that failures are handled in one place.

// parkAfter is how many exchanges a client makes on its goroutine before it is parked again. A
// failure is often followed by another, and parking costs as much as an exchange.
const parkAfter = 32

// A partial is an exchange that an event loop has begun and the client's goroutine continues.
type partial struct {
	unsent []byte // of the request
	read   []byte // of the reply
	err    error  // why nothing more can be read
}

// park hands the client over to an event loop, which sends the next request. It returns false if the
// client keeps its goroutine. After true the caller must not use the client.
func (c *client) park() bool {
	if c.run.loops == nil || c.sinceLoop < parkAfter {
		return false
	}
	conn, ok := c.conn.(interface {
		stream
		syscall.Conn
	})
	if !ok {
		return false // no connection, or not a socket
	}
	fd, err := eventloop.Take(conn)
	if err != nil {
		c.sinceLoop = 0
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.fd, c.buffer = nil, fd, nil
	if c.run.loops.Add(fd, c) != nil {
		c.unpark(nil, true)
		return true
	}
	c.send()
	return true
}

// unpark gives the client its goroutine back, with the exchange to be continued, if any; ok says
// whether a next step is due. The caller holds mu.
func (c *client) unpark(begun *partial, ok bool) {
	c.run.loops.Remove(c.fd)
	c.conn = os.NewFile(uintptr(c.fd), "connection to "+c.run.options.Address)
	c.fd, c.sinceLoop, c.partial = -1, 0, begun
	go c.loop(c.pace.due, ok)
}

// send sends the next request. The caller holds mu.
func (c *client) send() {
	request := c.cursor.exchange().Request
	c.markSent(c.pace.now)
	if n, _ := eventloop.Write(c.fd, request); n < len(request) {
		c.unpark(&partial{unsent: request[n:]}, true) // its next write returns the error, if any
	}
}

// Ready implements eventloop.Handler.
func (c *client) Ready(round *eventloop.Round, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return
	}
	buffer := round.Buffer[:bufferBytes]
	n, err := eventloop.Read(c.fd, buffer)
	if err == syscall.EAGAIN {
		return
	}
	c.pace.now = time.Now()
	line := buffer[:n]
	if err != 0 {
		c.unpark(&partial{err: os.NewSyscallError("recv", err)}, true)
		return
	}
	whole := n > 0 && n < len(buffer) && bytes.IndexByte(line, '\n') == n-1
	if !whole || c.cursor.exchange().check(line) != right {
		c.unpark(&partial{read: bytes.Clone(line)}, true)
		return
	}
	c.advance(c.pace.due)
	_, ok := c.pace.next()
	if c.finishing = !ok; ended || !ok && !c.unfinished() {
		c.sent.Store(0)
		c.unpark(nil, ok)
		return
	}
	c.send()
}
