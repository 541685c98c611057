package load

import "fmt"

// A cursor is a client's position in its procedure, which it performs over and over.
type cursor struct {
	run       *run
	client    int
	sessions  int    // started
	session   string // the name of the current one; empty if the agent names it by the connection
	exchanges []Exchange
	next      int // index of the next exchange
}

// newSession makes the next exchange the first of a new session.
func (c *cursor) newSession() {
	c.sessions++
	if c.run.options.Reconnect == EachStep {
		c.session = fmt.Sprintf("%s-%d-%d", c.run.name, c.client, c.sessions)
	}
	c.restart()
}

// restart makes the next exchange the first of the procedure, with the same session name.
func (c *cursor) restart() {
	c.next, c.exchanges = 0, c.run.options.Plan.Exchanges(c.session)
}

func (c *cursor) exchange() *Exchange { return &c.exchanges[c.next] }

// advance moves past an exchange; whole reports whether it was the last of its session.
func (c *cursor) advance() (whole bool) {
	c.next++
	whole = c.next == len(c.exchanges)
	if whole {
		c.restart()
	}
	return whole
}
