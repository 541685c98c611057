package capture

import (
	"cmp"
	"slices"
)

// split tells the connections of a pair apart, which have the same ends. Its packets are put in
// the order of their times first: that of the file is another where queues or interfaces were
// written one after the other.
func (p *pair) split() []*Conn {
	slices.SortStableFunc(p.segments, func(a, b segment) int { return a.mark.Time.Compare(b.mark.Time) })
	var conns []*Conn
	for i := range p.segments {
		s := &p.segments[i]
		c := connOf(conns, s)
		if c == nil {
			c = newConn(s)
			conns = append(conns, c)
		}
		c.add(s)
	}
	return conns
}

func sortConns(conns []*Conn) {
	slices.SortStableFunc(conns, func(a, b *Conn) int {
		return cmp.Or(a.First.Time.Compare(b.First.Time), cmp.Compare(a.First.Packet, b.First.Packet))
	})
}

// newConn begins a connection with its first packet.
func newConn(s *segment) *Conn {
	from, to := s.src, s.dst
	if s.syn && s.acks {
		from, to = to, from // the one who agrees is the other
	}
	return &Conn{Up: &Stream{From: from, To: to}, Down: &Stream{From: to, To: from}, First: s.mark, face: s.face}
}

// connOf returns the connection that a packet belongs to, nil for a new one. A packet of an
// earlier connection may come after the first of the next.
func connOf(conns []*Conn, s *segment) *Conn {
	if len(conns) == 0 {
		return nil
	}
	newest := conns[len(conns)-1]
	switch {
	case s.syn && newest.renewedBy(s):
		return nil
	case newest.fits(s):
		return newest
	case len(conns) > 1 && conns[len(conns)-2].fits(s):
		return conns[len(conns)-2]
	case newest.over():
		return nil // its opening is not in the capture
	}
	return newest
}

// streams returns the stream that a packet belongs to, and the other one.
func (c *Conn) streams(s *segment) (own, other *Stream) {
	if s.src == c.Up.From {
		return c.Up, c.Down
	}
	return c.Down, c.Up
}

// renewedBy reports whether a packet with a SYN is of another connection between the same
// ends: its number is another than that of the SYN before it, or than those of the packets
// that follow a SYN.
func (c *Conn) renewedBy(s *segment) bool {
	own, other := c.streams(s)
	for i := range own.segments {
		if own.segments[i].syn {
			return own.segments[i].seq != s.seq // else it is the same packet once more
		}
	}
	for i := range min(len(own.segments), lookedAtForSYN) {
		if own.segments[i].seq == s.seq+1 {
			return false
		}
	}
	for i := range min(len(other.segments), lookedAtForSYN) {
		if other.segments[i].acks && other.segments[i].ack == s.seq+1 {
			return false
		}
	}
	return len(own.segments) > 0 || len(other.segments) > 0 && !s.acks
}

// lookedAtForSYN is how many packets may overtake a SYN.
const lookedAtForSYN = 4

// nearBytes is how far a number may be from the last one of its stream. No window of those
// that talk to an agent is larger, and numbers of connections are chosen at random.
const nearBytes = 1 << 24

// fits reports whether the numbers of a packet go with those of the connection.
func (c *Conn) fits(s *segment) bool {
	own, other := c.streams(s)
	if n := len(own.segments); n > 0 {
		off := int32(s.seq - own.segments[n-1].seq)
		return off > -nearBytes && off < nearBytes
	}
	if n := len(other.segments); n > 0 && s.acks {
		off := int32(s.ack - other.segments[n-1].seq)
		return off > -nearBytes && off < nearBytes
	}
	return true
}

// over reports whether both sides, or a reset, have ended the connection.
func (c *Conn) over() bool {
	return !c.Up.RST.IsZero() || !c.Down.RST.IsZero() || !c.Up.FIN.IsZero() && !c.Down.FIN.IsZero()
}

func (c *Conn) add(s *segment) {
	c.Last, c.Apart = s.mark, c.Apart || s.face != c.face
	switch {
	case s.syn && !s.acks && c.Opened.IsZero():
		c.Opened = s.mark
	case s.syn && s.acks && c.Accepted.IsZero():
		c.Accepted = s.mark
	}
	own, _ := c.streams(s)
	if s.fin && !s.damaged {
		own.FIN = firstMark(own.FIN, s.mark)
	}
	if s.rst && !s.damaged {
		own.RST = firstMark(own.RST, s.mark)
	}
	own.segments = append(own.segments, *s)
}

func firstMark(known, m Mark) Mark {
	if known.IsZero() {
		return m
	}
	return known
}
