package live

import (
	"net"
	"slices"
	"sync/atomic"

	"github.com/stepagent/stepagent/agent/internal/client/capture/packet"
)

// A flow tracks a connection and what the capture has of it. It is guarded by Recorder.mu.
type flow struct {
	conn          *countedConn // nil when no connection was made
	begun, reset  bool
	client, agent side
}

// A side is what the capture has of the bytes that one side has sent.
type side struct {
	seen bool // a packet
	// known says that the first byte's number is known. next is the number behind the
	// contiguous bytes, later are the ranges behind a gap.
	known       bool
	first, next uint32
	later       []seqRange
	// fin is the number behind the FIN, finished says that the other side acknowledged it.
	fin              uint32
	hasFIN, finished bool
	acked            uint32 // by the other side
	hasAck           bool
}

// A seqRange is a range of sequence numbers, RFC 9293.
type seqRange struct{ from, to uint32 }

// maxLater bounds the ranges behind gaps that are kept for each side.
const maxLater = 256

// seqAfter compares sequence numbers, which wrap.
func seqAfter(a, b uint32) bool { return int32(a-b) > 0 }

// observe adds a packet of the connection.
func (f *flow) observe(s *packet.Segment, fromAgent bool) {
	own, other := &f.client, &f.agent
	if fromAgent {
		own, other = other, own
	}
	f.begun = true
	f.reset = f.reset || s.RST
	own.seen = true
	if s.SYN {
		if !own.known { // a SYN may be sent again
			own.known, own.first, own.next = true, s.Seq+1, s.Seq+1
		}
		return
	}
	end := s.Seq + uint32(s.Length)
	if s.FIN {
		end++
		own.fin, own.hasFIN = end, true
	}
	own.add(seqRange{s.Seq, end})
	if s.ACK {
		if !other.hasAck || seqAfter(s.Ack, other.acked) {
			other.acked, other.hasAck = s.Ack, true
		}
		other.finished = other.finished || other.hasFIN && s.Ack == other.fin
	}
}

// add adds a range of bytes.
func (s *side) add(got seqRange) {
	if got.from == got.to || !s.known || !seqAfter(got.to, s.next) {
		return
	}
	if i := slices.IndexFunc(s.later, func(l seqRange) bool { return !seqAfter(got.from, l.to) && !seqAfter(l.from, got.to) }); i >= 0 {
		if seqAfter(s.later[i].from, got.from) {
			s.later[i].from = got.from
		}
		if seqAfter(got.to, s.later[i].to) {
			s.later[i].to = got.to
		}
	} else if len(s.later) < maxLater {
		s.later = append(s.later, got)
	}
	for {
		i := slices.IndexFunc(s.later, func(l seqRange) bool { return !seqAfter(l.from, s.next) })
		if i < 0 {
			return
		}
		if seqAfter(s.later[i].to, s.next) {
			s.next = s.later[i].to
		}
		s.later = slices.Delete(s.later, i, i+1)
	}
}

// lacks reports whether bytes are missing that the other side acknowledged, or that this program
// received.
func (s *side) lacks(received uint64) bool {
	return !s.known || s.hasAck && seqAfter(s.acked, s.next) || received > 0 && seqAfter(s.first+uint32(received), s.next)
}

// ended reports whether the connection has ended or was never made. One whose first packets were
// not read yet has not ended.
func (f *flow) ended() bool {
	if !f.begun {
		return f.conn == nil
	}
	return f.reset || f.client.finished && f.agent.finished
}

// What a capture may lack, for counts of connections.
const (
	lacksNothing = ""
	lacksAll     = "it has no packet of %d of %d connections"
	lacksAgent   = "it has no packet that the agent sent on %d of %d connections"
	lacksClient  = "it has no packet that stepctl sent on %d of %d connections"
	lacksBytes   = "bytes of %d of %d connections are not in it"
)

// lack returns what the capture lacks of a connection that was made.
func (f *flow) lack() string {
	switch {
	case !f.begun:
		return lacksAll
	case !f.agent.seen:
		return lacksAgent
	case !f.client.seen:
		return lacksClient
	case f.client.lacks(0) || f.agent.lacks(f.conn.received.Load()):
		return lacksBytes
	default:
		return lacksNothing
	}
}

// A countedConn counts the bytes that it receives, which the capture must have.
type countedConn struct {
	net.Conn
	received atomic.Uint64
}

// NetConn returns the connection that is counted.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(uint64(n))
	return n, err
}
