package load

import (
	"bytes"
	"os"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// In a closed loop over connections that are kept, a client is parked: it has no goroutine, and
// an event loop reads the replies, checks and counts them, and sends the next request at once.
// For everything but a reply that comes whole, alone and as it must be, the client gets its
// goroutine back, which takes the exchange that is under way to its end: there is one place
// that says what trouble is. At the end of its last session it gets it back as well.

// calmAfter is how many exchanges a client that was given back its goroutine makes before it is
// parked again: what was unusual once is so again, and parking costs as much as an exchange.
const calmAfter = 32

// A handover is what a loop leaves to the client's goroutine of the exchange that is under way.
type handover struct {
	unsent []byte // of the request
	read   []byte // of the reply, or whatever came in its place
	err    error  // why nothing more can be read
}

// park leaves the client to a loop, which sends the next request; false when the client keeps
// its goroutine. Afterwards the client is not the caller's any more.
func (c *client) park() bool {
	if c.run.loops == nil || c.calm < calmAfter {
		return false
	}
	conn, ok := c.conn.(interface {
		stream
		syscall.Conn
	})
	if !ok {
		return false // there is no connection, or none of a socket
	}
	fd, err := eventloop.Take(conn)
	if err != nil {
		c.calm = 0
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

// unpark gives the client its goroutine back, with what is left to be done of an exchange, or
// between two of them; then ok says whether there is a next one. The caller holds mu.
func (c *client) unpark(begun *handover, ok bool) {
	c.run.loops.Remove(c.fd)
	c.conn = os.NewFile(uintptr(c.fd), "connection to "+c.run.options.Address)
	c.fd, c.calm, c.begun = -1, 0, begun
	go c.goOn(c.pace.due, ok)
}

// send sends the next request. The caller holds mu.
func (c *client) send() {
	request := c.exchanges[c.place].Request
	c.note(c.pace.now)
	if n, _ := eventloop.Write(c.fd, request); n < len(request) {
		c.unpark(&handover{unsent: request[n:]}, true) // what was wrong is met again there
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
		c.unpark(&handover{err: os.NewSyscallError("recv", err)}, true)
		return
	}
	whole := n > 0 && n < len(buffer) && bytes.IndexByte(line, '\n') == n-1
	if !whole || c.exchanges[c.place].check(line) != right {
		c.unpark(&handover{read: bytes.Clone(line)}, true)
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
