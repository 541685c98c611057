package capture

import (
	"net"
	"slices"
	"sync/atomic"
)

// A liveFlow follows a connection that was made here, until nothing more can come of it, and
// keeps account of what the capture has of it. The client's side is at 0, the agent's at 1.
type liveFlow struct {
	// conn is nil where no connection came about.
	conn         *countedConn
	begun, reset bool
	sides        [2]liveSide
}

// A liveSide is what the capture has of the bytes that one side has sent.
type liveSide struct {
	seen bool // a packet
	// known says that the beginning is there, next what comes behind it without a gap, and
	// later what comes behind a gap.
	known bool
	first uint32
	next  uint32
	later []liveSpan
	// fin is the number behind the side's FIN, and finished that the other has acknowledged it.
	fin              uint32
	hasFIN, finished bool
	acked            uint32 // by the other side
	hasAck           bool
}

// A liveSpan is a stretch of sequence numbers, RFC 9293.
type liveSpan struct{ from, to uint32 }

// maxLater bounds the stretches behind gaps that are remembered for each side.
const maxLater = 256

// seqAfter reports whether one number comes after another, in the circle of numbers.
func seqAfter(a, b uint32) bool { return int32(a-b) > 0 }

// see takes a packet of the connection.
func (f *liveFlow) see(s *segment, fromAgent bool) {
	own, other := &f.sides[0], &f.sides[1]
	if fromAgent {
		own, other = other, own
	}
	f.begun = true
	f.reset = f.reset || s.rst
	own.seen = true
	if s.syn {
		if !own.known { // it may come again
			own.known, own.first, own.next = true, s.seq+1, s.seq+1
		}
		return
	}
	end := s.seq + uint32(s.wire)
	if s.fin {
		end++
		own.fin, own.hasFIN = end, true
	}
	own.add(liveSpan{s.seq, end})
	if s.acks {
		if !other.hasAck || seqAfter(s.ack, other.acked) {
			other.acked, other.hasAck = s.ack, true
		}
		other.finished = other.finished || other.hasFIN && s.ack == other.fin
	}
}

// add takes note of bytes.
func (s *liveSide) add(got liveSpan) {
	if got.from == got.to || !s.known || !seqAfter(got.to, s.next) {
		return
	}
	if i := slices.IndexFunc(s.later, func(l liveSpan) bool { return !seqAfter(got.from, l.to) && !seqAfter(l.from, got.to) }); i >= 0 {
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
		i := slices.IndexFunc(s.later, func(l liveSpan) bool { return !seqAfter(l.from, s.next) })
		if i < 0 {
			return
		}
		if seqAfter(s.later[i].to, s.next) {
			s.next = s.later[i].to
		}
		s.later = slices.Delete(s.later, i, i+1)
	}
}

// lacks reports whether bytes are missing: the other side has acknowledged them, or this
// program has received them.
func (s *liveSide) lacks(received uint64) bool {
	return !s.known || s.hasAck && seqAfter(s.acked, s.next) || received > 0 && seqAfter(s.first+uint32(received), s.next)
}

// over reports whether the connection has ended, or has never come about. One whose first
// packets have not been read yet is not over.
func (f *liveFlow) over() bool {
	if !f.begun {
		return f.conn == nil
	}
	return f.reset || f.sides[0].finished && f.sides[1].finished
}

// A liveLack is what the capture does not have of a connection.
type liveLack int

const (
	lacksNothing liveLack = iota
	lacksAll
	lacksClient
	lacksAgent
	lacksBytes
)

func (f *liveFlow) lack() liveLack {
	client, agent := &f.sides[0], &f.sides[1]
	switch {
	case f.conn == nil:
		return lacksNothing // there was nothing but attempts
	case !f.begun:
		return lacksAll
	case !agent.seen:
		return lacksAgent
	case !client.seen:
		return lacksClient
	case client.lacks(0) || agent.lacks(f.conn.received.Load()):
		return lacksBytes
	default:
		return lacksNothing
	}
}

// A countedConn counts the bytes that it receives: the capture must have them.
type countedConn struct {
	net.Conn
	received atomic.Uint64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(uint64(n))
	return n, err
}
