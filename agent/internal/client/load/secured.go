package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/tlsdial"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A refusal of TLS meets all clients alike, since they have one certificate. Where none of them has
// got a reply, the first refusal ends the load. Later ones, after a change at the agent, are failures
// like others: they are counted, and the clients try again.

// failTLS reports whether an error says that TLS was refused, and counts that. The client has no
// connection then. Its step was not judged and is sent again.
func (c *client) failTLS(err error) bool {
	why, ok := errors.AsType[*tlsdial.RefusedError](err)
	if !ok {
		return false
	}
	c.tally.trouble(refusedTLS, why.Sentence)
	c.disconnect()
	if !c.run.stopped.Load() && !c.run.answered() {
		c.run.stopped.Store(true)
	}
	return true
}

// whyUnsent returns why a request could not be written: the refusal of TLS, if the agent has sent one
// before it closed the connection, else err.
func (c *client) whyUnsent(err error) error {
	if c.run.options.TLS == nil {
		return err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Second)) // fails only if closed
	_, unread := c.conn.Read(make([]byte, 1))
	if why, ok := errors.AsType[*tlsdial.RefusedError](unread); ok {
		return why
	}
	return err
}

// refusedPlain returns a *tlsdial.RefusedError if a reply says that the port speaks TLS, else nil.
func (r *run) refusedPlain(line []byte) error {
	reply, err := protocol.DecodeReply(line)
	if err != nil || r.options.TLS != nil {
		return nil //nolint:nilerr // what is no reply is counted as such
	}
	return tlsdial.PlainRefused(&reply)
}

// answered reports whether any client has got an expected reply.
func (r *run) answered() bool {
	answered := false
	for _, t := range r.tallies {
		t.update(func(r *Result) { answered = answered || r.Steps+r.Finishing > 0 })
	}
	return answered
}

// refusedAll returns an error if TLS was refused and no client has got a reply.
func (r *run) refusedAll(result Result) error {
	n := result.troubles[refusedTLS]
	if n == 0 || result.Steps+result.Finishing > 0 {
		return nil
	}
	return fmt.Errorf("%w at %s (%s): %s", ErrUnreachable, r.options.Address,
		phrase.Count(int(n), "connection"), result.examples[refusedTLS])
}
