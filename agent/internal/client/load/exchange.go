package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// bufferBytes is more than any reply of the agent has: a detail is limited to 512 bytes.
const bufferBytes = 2048

// step makes one exchange. It returns false if that fails.
func (c *client) step(due time.Time) bool {
	if c.conn == nil && !c.connect() {
		return false
	}
	e := c.cursor.exchange()
	line, err := c.exchange(e.Request, due)
	c.pace.now = time.Now()
	switch {
	case err != nil && c.failTLS(err):
		return false
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.fail(noReply, e, fmt.Sprintf("none came within %v", c.run.options.Wait))
	case err != nil:
		return c.fail(lost, e, err.Error())
	}
	reply, rest := line, []byte(nil) // a full buffer may have no newline
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		reply, rest = line[:end+1], line[end+1:]
	}
	k := e.check(reply)
	switch {
	case k != right && c.failTLS(c.run.refusedPlain(reply)):
		return false
	case k != right:
		return c.fail(k, e, fmt.Sprintf("%.256q", reply))
	case len(rest) > 0:
		return c.fail(unasked, e, fmt.Sprintf("%.256q after the reply", rest))
	}
	c.advance(due)
	return true
}

// exchange sends a request and returns what was read up to the end of a line, and after it. It
// continues what an event loop has begun.
func (c *client) exchange(request []byte, due time.Time) ([]byte, error) {
	sent := c.pace.now
	if sent.Before(due) {
		sent = due
	}
	c.markSent(sent)
	defer c.sent.Store(0)
	begun := partial{unsent: request}
	if c.partial != nil {
		begun, c.partial = *c.partial, nil
	}
	if len(begun.unsent) > 0 {
		if _, err := c.conn.Write(begun.unsent); err != nil {
			return nil, c.whyUnsent(err)
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
			// The timeout watch meant the request before this one.
			err = c.conn.SetReadDeadline(time.Time{}) // fails only if closed
		}
		if err != nil {
			return nil, err
		}
		seen = n
		n, err = c.conn.Read(c.buffer[n:])
		n += seen
	}
}

// advance counts an expected reply and moves to the next exchange.
func (c *client) advance(due time.Time) {
	whole := c.cursor.advance()
	c.tally.answered(due, c.pace.now, whole, c.finishing)
	if r := c.run.options.Reconnect; r == EachStep || r == EachSession && whole {
		c.disconnect()
	}
}

// fail counts a failed exchange and prepares the next. It returns false.
func (c *client) fail(k kind, e *Exchange, got string) bool {
	c.tally.trouble(k, fmt.Sprintf("client %d, step %d of its procedure: sent %s, got %s",
		c.number+1, c.cursor.next+1, bytes.TrimSpace(e.Request), got))
	if !k.retryable() {
		c.disconnect()
		c.cursor.newSession()
	}
	return false
}
