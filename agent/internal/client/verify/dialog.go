package verify

import (
	"bytes"
	"net/netip"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A dialog is one connection between a client and an agent.
type dialog struct {
	conn *capture.Conn
	// up is what the client sent, down what the agent did.
	up, down      *capture.Stream
	client, agent netip.AddrPort
	// clock says that the client's own clock, in its packets, goes at a known rate.
	clock    bool
	requests []message
	replies  []message
	// cutRequest is a request whose end is not in the capture; garbled are bytes of the agent
	// that are no reply; strays are replies that answer nothing.
	cutRequest *message
	garbled    []message
	strays     []answer
	exchanges  []*exchange
}

// stepID is in every message of the protocol.
var stepID = []byte(`"step_id"`)

// Wanted reports whether what was sent over a connection may be of one with an agent; it is
// for capture.Options.
func Wanted(payload []byte) bool { return bytes.Contains(payload, stepID) }

// findDialogs finds the connections with an agent.
func findDialogs(c *capture.Capture, opts Options) []*dialog {
	agents := map[netip.AddrPort]bool{}
	if opts.Port == 0 {
		for _, conn := range c.Conns {
			if end, ok := replier(conn); ok {
				agents[end] = true
			}
		}
	}
	var all []*dialog
	for _, conn := range c.Conns {
		if d := newDialog(conn, opts, agents); d != nil {
			all = append(all, d)
		}
	}
	return all
}

// replier returns the end of a connection that sends replies, if one does.
func replier(conn *capture.Conn) (netip.AddrPort, bool) {
	up, down := countReplies(conn.Up), countReplies(conn.Down)
	switch {
	case up == 0 && down == 0:
		return netip.AddrPort{}, false
	case up > down:
		return conn.Up.From, true
	default:
		return conn.Down.From, true
	}
}

// lookedAt is how many messages of a stream are looked at to see whose they are.
const lookedAt = 64

func countReplies(s *capture.Stream) int {
	n := 0
	for _, m := range messages(s, maxReplyBytes, lookedAt) {
		if _, err := protocol.DecodeReply(m.raw); err == nil {
			n++
		}
	}
	return n
}

// newDialog returns the dialog that a connection is, nil when it is none.
func newDialog(conn *capture.Conn, opts Options, agents map[netip.AddrPort]bool) *dialog {
	d := &dialog{conn: conn, up: conn.Up, down: conn.Down}
	switch {
	case opts.Port != 0 && conn.Down.From.Port() == opts.Port, agents[conn.Down.From]:
	case opts.Port != 0 && conn.Up.From.Port() == opts.Port, agents[conn.Up.From]:
		d.up, d.down = d.down, d.up
	case opts.Port == 0 && asksAnything(conn.Up):
	case opts.Port == 0 && asksAnything(conn.Down): // the opening is not in the capture
		d.up, d.down = d.down, d.up
	default:
		return nil
	}
	d.client, d.agent = d.up.From, d.down.From
	d.clock = d.conn.UpClock
	if d.up != conn.Up {
		d.clock = d.conn.DownClock
	}
	d.requests = messages(d.up, opts.MessageBytes, all)
	d.replies = messages(d.down, maxReplyBytes, all)
	return d
}

// asksAnything reports whether a stream begins with a request: an agent may never have
// answered any.
func asksAnything(s *capture.Stream) bool {
	for _, m := range messages(s, maxReplyBytes, 1) {
		_, err := protocol.DecodeRequest(m.raw)
		return err == nil
	}
	return false
}

// whole reports whether nothing of the connection is missing in the capture, as far as the
// packets tell.
func (d *dialog) whole() bool { return d.heard(d.up) && (d.heard(d.down) || d.refused()) }

// heard reports whether nothing of a stream is missing, as far as the packets tell.
func (d *dialog) heard(s *capture.Stream) bool {
	return s.Started && len(s.Missing)+len(s.Late) == 0
}

// refused reports whether the connection was asked for, and the other end was not listening.
func (d *dialog) refused() bool {
	return len(d.down.Seen) == 0 && !d.down.RST.IsZero() && len(d.requests) == 0
}

// oneSided reports whether no packet of the agent is in the capture.
func (d *dialog) oneSided() bool { return len(d.down.Seen) == 0 && d.down.RST.IsZero() }
