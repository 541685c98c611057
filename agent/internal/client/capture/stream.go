package capture

import (
	"sort"
)

// A numbering turns the sequence numbers of a stream, which wrap around at 2^32, into
// offsets that do not.
type numbering struct {
	base  uint32 // of offset 0
	known bool
	last  int64
}

// offset returns the place of a sequence number: of all that it may stand for, the one that
// is nearest to the last, RFC 9293 section 3.4.
func (n *numbering) offset(seq uint32) int64 {
	return n.last + int64(int32(seq-n.base-uint32(n.last)))
}

// build works out both streams of a connection from their packets.
func (c *Conn) build() {
	ofUp, ofDown := c.Up.number(c.Down), c.Down.number(c.Up)
	c.Up.place(ofUp, ofDown)
	c.Down.place(ofDown, ofUp)
	c.Up.build(c.Down)
	c.Down.build(c.Up)
	up, down := c.near()
	c.UpClock, c.DownClock = c.checkClock(c.Up, up), c.checkClock(c.Down, down)
	c.Up.segments, c.Down.segments = nil, nil
}

// number finds the sequence number of the stream's first byte.
func (s *Stream) number(other *Stream) numbering {
	n := numbering{}
	lowest := int64(0)
	lower := func(seq uint32) {
		if !n.known {
			n.base, n.known = seq, true
		}
		n.last = n.offset(seq)
		lowest = min(lowest, n.last)
	}
	for i := range s.segments {
		switch seg := &s.segments[i]; {
		case seg.damaged, seg.rst: // its number may be anything
		case seg.syn:
			s.Started = true
			// The SYN itself stands before the first byte: offset -1 would be its own.
			return numbering{base: seg.seq + 1, known: true}
		default:
			lower(seg.seq)
		}
	}
	// The beginning is not in the capture: the lowest number of what was sent, in any order,
	// or of what the other side had received, comes nearest to it.
	for i := range other.segments {
		if seg := &other.segments[i]; seg.acks && !seg.rst && !seg.damaged {
			lower(seg.ack)
		}
	}
	n.base += uint32(lowest)
	n.last = 0
	return n
}

// maxUnseen is how many bytes at once can be acknowledged that the capture does not have; more
// is no acknowledgement of this stream. It is the largest window, RFC 7323 section 2.3.
const maxUnseen = 1 << 30

// place gives every packet its offset in the stream, and says what of the other stream its
// sender had received: as much as it had acknowledged before or does now.
func (s *Stream) place(own, other numbering) {
	heard := int64(-1)
	for i := range s.segments {
		seg := &s.segments[i]
		seg.at = own.offset(seg.seq)
		if !seg.damaged && !seg.rst {
			own.last = seg.at
		}
		if seg.syn {
			seg.at++
		}
		if seg.acks && !seg.damaged && !seg.rst && other.known {
			if to := other.offset(seg.ack); to <= other.last+maxUnseen {
				heard = max(heard, to)
				other.last = max(other.last, to)
			}
		}
		seg.heard = heard
	}
}

// build puts the segments of a stream in order, and notes what is missing.
func (s *Stream) build(other *Stream) {
	var pieces []piece
	var cuts []Missing
	reach := int64(0) // what the sender is known to have sent
	fin := int64(-1)  // where the stream ends, if that is known
	for i := range s.segments {
		seg := &s.segments[i]
		if seg.rst {
			continue // its bytes, if any, are for people, RFC 9293
		}
		end := seg.at + int64(seg.wire)
		if seg.fin && !seg.damaged {
			fin = end
		}
		pieces = append(pieces, newPiece(seg, i))
		reach = max(reach, end)
		if len(seg.payload) < seg.wire {
			cut := int64(seg.wire - len(seg.payload))
			cuts = append(cuts, Missing{Offset: end - cut, Bytes: cut, Cut: true, Near: seg.mark.Packet})
		}
	}
	reach = s.resetReach(reach)
	s.chunk(s.cover(pieces), other)
	if fin >= 0 {
		reach = min(reach, fin) // what comes after it stands behind the FIN, which counts as a byte
	}
	s.gaps(reach, cuts)
	s.unseen(other, fin)
	s.settleDamage(other)
	s.see()
}

// resetReach takes into account that a reset says how much its sender had sent, unless its
// number is out of every proportion: it may be anything.
func (s *Stream) resetReach(reach int64) int64 {
	const most = 1 << 20
	for i := range s.segments {
		if seg := &s.segments[i]; seg.rst && !seg.damaged && seg.at > reach && seg.at <= reach+most && s.FIN.IsZero() {
			reach = seg.at
		}
	}
	return reach
}

// chunk joins pieces that follow one another. A byte can be read when all before it are
// there, so its mark is the latest of theirs. It was there at the latest when the other side
// acknowledged it, whatever the time of the only copy in the capture.
func (s *Stream) chunk(pieces []piece, other *Stream) {
	for _, p := range pieces {
		i := len(s.Chunks) - 1
		if i < 0 || s.Chunks[i].end() != p.offset {
			s.Chunks = append(s.Chunks, Chunk{Offset: p.offset})
			i++
		}
		c := &s.Chunks[i]
		a := arrival{from: len(c.Data), mark: p.mark, heard: p.heard}
		if acked, ok := other.acknowledges(p.end()); ok {
			if by := p.mark.Time.Sub(acked.Time); by > 0 {
				a.mark.Time = acked.Time
				if by > OrderTolerance {
					s.Late = append(s.Late, Late{Packet: p.mark.Packet, Acked: acked.Packet, By: by})
				}
			}
		}
		if n := len(c.arrivals); n > 0 {
			if last := c.arrivals[n-1]; last.mark.Time.After(a.mark.Time) {
				a.mark = last.mark
			}
			a.heard = max(a.heard, c.arrivals[n-1].heard)
		}
		c.arrivals = append(c.arrivals, a)
		c.Data = append(c.Data, p.data...)
	}
}

// acknowledges returns the first packet of s that acknowledges the other stream up to an
// offset.
func (s *Stream) acknowledges(to int64) (Mark, bool) {
	i := sort.Search(len(s.segments), func(i int) bool { return s.segments[i].heard >= to })
	if i == len(s.segments) {
		return Mark{}, false
	}
	return s.segments[i].mark, true
}

// gaps notes what is missing before, between and behind the chunks, up to reach.
func (s *Stream) gaps(reach int64, cuts []Missing) {
	at, near, next := int64(0), 0, 0
	sort.Slice(cuts, func(i, j int) bool { return cuts[i].Offset < cuts[j].Offset })
	note := func(to int64, near int) {
		if to <= at {
			return
		}
		m := Missing{Offset: at, Bytes: to - at, Near: near}
		for next < len(cuts) && cuts[next].Offset+cuts[next].Bytes <= at {
			next++
		}
		m.Cut = next < len(cuts) && cuts[next].Offset < to
		s.Missing = append(s.Missing, m)
	}
	for _, c := range s.Chunks {
		note(c.Offset, c.At(0).Packet)
		at = c.end()
		near = c.At(len(c.Data) - 1).Packet
	}
	if len(cuts) > 0 && near == 0 {
		near = cuts[0].Near
	}
	note(reach, near)
}

// unseen notes bytes that the other side acknowledges, and that are not in the capture. fin is
// where the stream ends, -1 when that is not known.
func (s *Stream) unseen(other *Stream, fin int64) {
	end := s.end()
	for _, m := range s.Missing {
		end = max(end, m.Offset+m.Bytes)
	}
	for i := range other.segments {
		seg := &other.segments[i]
		beyond := seg.heard - end
		if beyond == 1 && fin >= 0 {
			beyond = 0 // a FIN counts as a byte
		}
		if beyond > 0 {
			s.Missing = append(s.Missing, Missing{Offset: end, Bytes: beyond, Near: seg.mark.Packet})
			end = seg.heard
		}
	}
}

func (c Chunk) end() int64 { return c.Offset + int64(len(c.Data)) }

// end is the offset behind the last byte that there is.
func (s *Stream) end() int64 {
	if len(s.Chunks) == 0 {
		return 0
	}
	return s.Chunks[len(s.Chunks)-1].end()
}
