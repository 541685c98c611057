package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// bufferBytes holds any reply of the agent: a detail has at most 512 bytes.
const bufferBytes = 2048

// step makes one exchange; false when there was trouble.
func (c *client) step(due time.Time) bool {
	if c.conn == nil && !c.connect() {
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
		return c.trouble(k, e, fmt.Sprintf("%.256q", reply))
	}
	if len(rest) > 0 {
		return c.trouble(unasked, e, fmt.Sprintf("%.256q after the reply", rest))
	}
	c.advance(due)
	return true
}

// exchange sends a request and returns what came up to the end of a line, and after it. It goes
// on with what a loop has begun.
func (c *client) exchange(request []byte, due time.Time) ([]byte, error) {
	sent := c.pace.now
	if sent.Before(due) {
		sent = due
	}
	c.note(sent)
	defer c.sent.Store(0)
	begun := handover{unsent: request}
	if c.begun != nil {
		begun, c.begun = *c.begun, nil
	}
	if len(begun.unsent) > 0 {
		if _, err := c.conn.Write(begun.unsent); err != nil {
			return nil, err
		}
	}
	if c.buffer == nil {
		c.buffer = make([]byte, bufferBytes)
	}
	n, seen, err := copy(c.buffer, begun.read), 0, begun.err
	for {
		if bytes.IndexByte(c.buffer[seen:n], '\n') >= 0 || n == len(c.buffer) {
			return c.buffer[:n], nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Since(sent) < c.run.options.Wait {
			// The watch meant the request before this one.
			err = c.conn.SetReadDeadline(time.Time{}) // fails only when closed
		}
		if err != nil {
			return nil, err
		}
		seen = n
		n, err = c.conn.Read(c.buffer[n:])
		n += seen
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
		c.again()
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
