package capture

import (
	"fmt"
	"net/netip"
)

// An assembler puts packets together to connections.
type assembler struct {
	capture *Capture
	port    uint16
	open    map[ends]*Conn
	held    int
	last    Mark
}

// ends are the two ends of a connection, the lower first.
type ends struct{ low, high netip.AddrPort }

func endsOf(s *segment) ends {
	if s.src.Compare(s.dst) < 0 {
		return ends{s.src, s.dst}
	}
	return ends{s.dst, s.src}
}

func newAssembler(c *Capture, port uint16) *assembler {
	return &assembler{capture: c, port: port, open: map[ends]*Conn{}}
}

// add takes the next packet of the file.
func (a *assembler) add(p packet) error {
	if by := a.last.Time.Sub(p.mark.Time); !a.last.IsZero() && by > OrderTolerance {
		a.capture.Backwards = append(a.capture.Backwards, Backwards{Packet: p.mark.Packet, By: by})
	}
	a.last = p.mark
	s, what := decode(p)
	skipped := &a.capture.Skipped
	switch what {
	case isOtherLink:
		skipped.Link++
		skipped.FirstLink = first(skipped.FirstLink, p.mark.Packet)
	case isNotTCP:
		skipped.NotTCP++
	case isFragment:
		skipped.Fragments++
		skipped.FirstFragment = first(skipped.FirstFragment, p.mark.Packet)
	case isUnreadable:
		skipped.Unreadable++
	case isSegment:
		if a.port == 0 || s.src.Port() == a.port || s.dst.Port() == a.port {
			return a.keep(s)
		}
	}
	return nil
}

func first(known, packet int) int {
	if known != 0 {
		return known
	}
	return packet
}

// keep adds a segment to its connection.
func (a *assembler) keep(s segment) error {
	if a.held += heldPerSegment + len(s.payload); a.held > MaxHeldBytes {
		return fmt.Errorf("more than %d MiB of TCP packets; give --port, or a part of the capture", MaxHeldBytes>>20)
	}
	key := endsOf(&s)
	c := a.open[key]
	if c == nil || c.renewedBy(&s) {
		if len(a.capture.Conns) == MaxConns {
			return fmt.Errorf("more than %d TCP connections; give --port, or a part of the capture", MaxConns)
		}
		c = newConn(&s)
		a.open[key] = c
		a.capture.Conns = append(a.capture.Conns, c)
	}
	c.add(s)
	return nil
}

// newConn begins a connection with its first packet.
func newConn(s *segment) *Conn {
	from, to := s.src, s.dst
	if s.syn && s.acks {
		from, to = to, from // the one who agrees is the other
	}
	return &Conn{Up: &Stream{From: from, To: to}, Down: &Stream{From: to, To: from}, First: s.mark}
}

// renewedBy reports whether a packet opens another connection between the same ends.
func (c *Conn) renewedBy(s *segment) bool {
	if !s.syn || s.acks {
		return false
	}
	known := c.Up
	if s.src != known.From {
		known = c.Down
	}
	for i := range known.segments {
		if other := &known.segments[i]; other.syn {
			return other.seq != s.seq // else it is the same packet once more
		}
	}
	return len(c.Up.segments)+len(c.Down.segments) > 0
}

func (c *Conn) add(s segment) {
	c.Last = s.mark
	switch {
	case s.syn && !s.acks && c.Opened.IsZero():
		c.Opened = s.mark
	case s.syn && s.acks && c.Accepted.IsZero():
		c.Accepted = s.mark
	}
	stream := c.Up
	if s.src != c.Up.From {
		stream = c.Down
	}
	stream.segments = append(stream.segments, s)
}

// finish works out the streams when all packets are there.
func (a *assembler) finish() {
	for _, c := range a.capture.Conns {
		up, down := c.Up.build(), c.Down.build()
		c.Up.checkAcks(c, down, c.Down)
		c.Down.checkAcks(c, up, c.Up)
		c.checkClock(c.Up)
		c.checkClock(c.Down)
		c.Up.segments, c.Down.segments = nil, nil
	}
	clear(a.open)
}
