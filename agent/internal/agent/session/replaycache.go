package session

import (
	"slices"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A replayCache holds the last replies of a session name, the oldest first, so that a repeated req
// gets the reply that it got before.
type replayCache struct {
	replies []protocol.Reply
	bytes   int
}

// replyBytes is the most that a cached reply takes without its detail: the struct, a step id and a
// req.
const replyBytes = 256

func cachedBytes(reply *protocol.Reply) int { return replyBytes + len(reply.Detail) }

// get returns the reply to a req.
func (c *replayCache) get(req protocol.ReqID) (protocol.Reply, bool) {
	for i := range c.replies {
		if c.replies[i].Req == req {
			return c.replies[i], true
		}
	}
	return protocol.Reply{}, false
}

// add adds a reply, and drops the oldest ones past limit replies.
func (c *replayCache) add(reply protocol.Reply, limit int) {
	c.drop(len(c.replies) + 1 - max(limit, 1))
	c.replies = append(c.replies, reply)
	c.bytes += cachedBytes(&reply)
}

// shrink drops the oldest replies until the given number of bytes is freed. It keeps the last one.
func (c *replayCache) shrink(bytes int) {
	n := 0
	for ; bytes > 0 && n < len(c.replies)-1; n++ {
		bytes -= cachedBytes(&c.replies[n])
	}
	c.drop(n)
}

// drop drops the n oldest replies.
func (c *replayCache) drop(n int) {
	if n <= 0 {
		return
	}
	for i := range c.replies[:n] {
		c.bytes -= cachedBytes(&c.replies[i])
	}
	c.replies = slices.Delete(c.replies, 0, n)
}
