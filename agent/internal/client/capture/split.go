package capture

import (
	"cmp"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/capture/packet"
)

// A segment is a TCP packet and its place in its stream.
type segment struct {
	packet.Segment
	// offset is that of the first byte, and acked how many bytes of the other stream its sender
	// had acknowledged by then, -1 when not known. They are set by half.place.
	offset, acked int64
}

// A flow is a connection while it is assembled.
type flow struct {
	conn     *Conn
	up, down half
	face     int // the interface of the first packet
}

// A half is the segments of one direction, and the stream that is made of them.
type half struct {
	*Stream
	segments []segment
}

// split separates successive connections between the same ends. It orders the packets by time
// first: a file may hold the queues of interfaces one after the other.
func (p *pair) split() []*flow {
	slices.SortStableFunc(p.segments, func(a, b segment) int { return a.Mark.Time.Compare(b.Mark.Time) })
	var flows []*flow
	for i := range p.segments {
		s := &p.segments[i]
		f := flowOf(flows, s)
		if f == nil {
			f = newFlow(s)
			flows = append(flows, f)
		}
		f.add(s)
	}
	return flows
}

func sortFlows(flows []*flow) {
	slices.SortStableFunc(flows, func(a, b *flow) int {
		x, y := a.conn.First, b.conn.First
		return cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.Packet, y.Packet))
	})
}

// newFlow begins a connection with its first packet.
func newFlow(s *segment) *flow {
	from, to := s.Src, s.Dst
	if s.SYN && s.ACK {
		from, to = to, from // a SYN-ACK is sent by the other end
	}
	up, down := &Stream{From: from, To: to}, &Stream{From: to, To: from}
	return &flow{conn: &Conn{Up: up, Down: down, First: s.Mark}, up: half{Stream: up}, down: half{Stream: down}, face: s.Interface}
}

// flowOf returns the connection that a packet belongs to, nil for a new one. A packet of one
// connection may come after the first of the next.
func flowOf(flows []*flow, s *segment) *flow {
	if len(flows) == 0 {
		return nil
	}
	newest := flows[len(flows)-1]
	switch {
	case s.SYN && newest.renewedBy(s):
		return nil
	case newest.fits(s):
		return newest
	case len(flows) > 1 && flows[len(flows)-2].fits(s):
		return flows[len(flows)-2]
	case newest.ended():
		return nil // the handshake of the next is not in the capture
	}
	return newest
}

// halves returns the half that a packet belongs to, and the other.
func (f *flow) halves(s *segment) (own, other *half) {
	if s.Src == f.up.From {
		return &f.up, &f.down
	}
	return &f.down, &f.up
}

// synWindow is how many packets may overtake a SYN.
const synWindow = 4

// renewedBy reports whether a SYN opens another connection: its number is neither that of the
// SYN before it, nor the one before the first packets.
func (f *flow) renewedBy(s *segment) bool {
	own, other := f.halves(s)
	for i := range own.segments {
		if own.segments[i].SYN {
			return own.segments[i].Seq != s.Seq // else it is a second copy
		}
	}
	for i := range min(len(own.segments), synWindow) {
		if own.segments[i].Seq == s.Seq+1 {
			return false
		}
	}
	for i := range min(len(other.segments), synWindow) {
		if other.segments[i].ACK && other.segments[i].Ack == s.Seq+1 {
			return false
		}
	}
	return len(own.segments) > 0 || len(other.segments) > 0 && !s.ACK
}

// nearBytes bounds the distance of a number from the last of its stream: no window is larger in
// practice, and initial numbers are random.
const nearBytes = 1 << 24

// fits reports whether the numbers of a packet are near to those of the connection.
func (f *flow) fits(s *segment) bool {
	own, other := f.halves(s)
	near := func(a, b uint32) bool { return int32(a-b) > -nearBytes && int32(a-b) < nearBytes }
	if n := len(own.segments); n > 0 {
		return near(s.Seq, own.segments[n-1].Seq)
	}
	if n := len(other.segments); n > 0 && s.ACK {
		return near(s.Ack, other.segments[n-1].Seq)
	}
	return true
}

// ended reports whether both sides, or a reset, ended the connection.
func (f *flow) ended() bool {
	return !f.up.RST.IsZero() || !f.down.RST.IsZero() || !f.up.FIN.IsZero() && !f.down.FIN.IsZero()
}

func (f *flow) add(s *segment) {
	c := f.conn
	c.Last, c.Apart = s.Mark, c.Apart || s.Interface != f.face
	own, _ := f.halves(s)
	setFirst(&c.Opened, s, s.SYN && !s.ACK)
	setFirst(&c.Accepted, s, s.SYN && s.ACK)
	setFirst(&own.FIN, s, s.FIN && !s.Damaged)
	setFirst(&own.RST, s, s.RST && !s.Damaged)
	own.segments = append(own.segments, *s)
}

// setFirst sets m to the first packet with a property.
func setFirst(m *Mark, s *segment, has bool) {
	if has && m.IsZero() {
		*m = s.Mark
	}
}
