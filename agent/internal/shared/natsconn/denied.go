package natsconn

import (
	"context"
	"strconv"
	"strings"
)

// A watch is a publication that waits for an answer.
type watch struct {
	denied string // ends the server's error if it has refused the publication
	cancel context.CancelCauseFunc
}

// UntilDenied returns a context for a publication to a subject, such as a request. It ends when the server
// reports that the user has no right to publish there: the server has then dropped the message, and will not
// answer. The cause wraps nats.ErrPermissionViolation. The caller must call cancel.
func (c *Conn) UntilDenied(ctx context.Context, subject string) (_ context.Context, cancel func()) {
	ctx, end := context.WithCancelCause(ctx)
	w := &watch{"Publish to " + strconv.Quote(subject), end}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches[w] = struct{}{}
	return ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watches, w)
		end(nil)
	}
}

// deny ends the contexts of publications that the server has refused. The caller holds mu.
func (c *Conn) deny(err error) {
	for w := range c.watches {
		if strings.HasSuffix(err.Error(), w.denied) {
			w.cancel(err)
		}
	}
}
