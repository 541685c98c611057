package capture

import "sort"

// A numbering converts the sequence numbers of a stream, which wrap at 2^32, to offsets.
type numbering struct {
	base  uint32 // the number of offset 0
	known bool
	last  int64
}

// offset returns the offset of a sequence number: the possible one that is nearest to the last,
// RFC 9293 section 3.4.
func (n *numbering) offset(seq uint32) int64 {
	return n.last + int64(int32(seq-n.base-uint32(n.last)))
}

// reassemble makes both streams of the connection from their segments.
func (f *flow) reassemble() *Conn {
	ofUp, ofDown := f.up.number(&f.down), f.down.number(&f.up)
	f.up.place(ofUp, ofDown)
	f.down.place(ofDown, ofUp)
	f.up.reassemble(&f.down)
	f.down.reassemble(&f.up)
	f.checkClocks()
	return f.conn
}

// number finds the sequence number of the first byte.
func (h *half) number(other *half) numbering {
	n := numbering{}
	lowest := int64(0)
	lower := func(seq uint32) {
		if !n.known {
			n.base, n.known = seq, true
		}
		n.last = n.offset(seq)
		lowest = min(lowest, n.last)
	}
	for i := range h.segments {
		switch s := &h.segments[i]; {
		case s.Damaged, s.RST: // its number is not reliable
		case s.SYN:
			h.Started = true
			return numbering{base: s.Seq + 1, known: true}
		default:
			lower(s.Seq)
		}
	}
	// Without a SYN, the lowest number that was sent or acknowledged is nearest to it.
	for i := range other.segments {
		if s := &other.segments[i]; s.ACK && !s.RST && !s.Damaged {
			lower(s.Ack)
		}
	}
	n.base += uint32(lowest)
	n.last = 0
	return n
}

// maxUnseen bounds the bytes that one packet may acknowledge beyond those before; more is no
// acknowledgement of this stream. It is the largest window, RFC 7323 section 2.3.
const maxUnseen = 1 << 30

// place sets the offset of every segment, and what its sender had acknowledged.
func (h *half) place(own, other numbering) {
	acked := int64(-1)
	for i := range h.segments {
		s := &h.segments[i]
		s.offset = own.offset(s.Seq)
		if !s.Damaged && !s.RST {
			own.last = s.offset
		}
		if s.SYN {
			s.offset++
		}
		if s.ACK && !s.Damaged && !s.RST && other.known {
			if to := other.offset(s.Ack); to <= other.last+maxUnseen {
				acked = max(acked, to)
				other.last = max(other.last, to)
			}
		}
		s.acked = acked
	}
}

// reassemble orders the bytes of the stream and notes what is missing.
func (h *half) reassemble(other *half) {
	var pieces []piece
	var cuts []Missing
	reach := int64(0) // behind the last byte that was sent
	fin := int64(-1)  // the offset of the FIN, if known
	for i := range h.segments {
		s := &h.segments[i]
		if s.RST {
			continue // its payload, if any, is a text for people, RFC 9293
		}
		end := s.offset + int64(s.Length)
		if s.FIN && !s.Damaged {
			fin = end
		}
		pieces = append(pieces, newPiece(s, i))
		reach = max(reach, end)
		if len(s.Payload) < s.Length {
			cut := int64(s.Length - len(s.Payload))
			cuts = append(cuts, Missing{Offset: end - cut, Bytes: cut, Cut: true, Near: s.Mark.Packet})
		}
	}
	reach = h.resetReach(reach)
	pieces, covered := cover(pieces)
	h.compare(pieces, covered)
	h.chunk(covered, other)
	if fin >= 0 {
		reach = min(reach, fin)
	}
	h.addMissing(reach, cuts)
	h.addUnseen(other, fin)
	h.checkDamage(other)
	h.Packets = listPackets(h.segments)
}

// resetReach extends reach to the number of a reset, which tells how much its sender had sent,
// unless it is implausible.
func (h *half) resetReach(reach int64) int64 {
	const most = 1 << 20
	for i := range h.segments {
		if s := &h.segments[i]; s.RST && !s.Damaged && s.offset > reach && s.offset <= reach+most && h.FIN.IsZero() {
			reach = s.offset
		}
	}
	return reach
}

// chunk joins adjacent pieces. A byte is readable when all before it are there, so its time is the
// latest of theirs, but not later than its acknowledgement.
func (h *half) chunk(pieces []piece, other *half) {
	for _, p := range pieces {
		i := len(h.Chunks) - 1
		if i < 0 || h.Chunks[i].end() != p.offset {
			h.Chunks = append(h.Chunks, Chunk{Offset: p.offset})
			i++
		}
		c := &h.Chunks[i]
		a := arrival{from: len(c.Data), mark: p.mark, acked: p.acked}
		if ack, ok := other.acknowledges(p.end()); ok {
			if by := p.mark.Time.Sub(ack.Time); by > 0 {
				a.mark.Time = ack.Time
				if by > OrderTolerance {
					h.Late = append(h.Late, Late{Packet: p.mark.Packet, AckedIn: ack.Packet, By: by})
				}
			}
		}
		if n := len(c.arrivals); n > 0 {
			if last := c.arrivals[n-1]; last.mark.Time.After(a.mark.Time) {
				a.mark = last.mark
			}
			a.acked = max(a.acked, c.arrivals[n-1].acked)
		}
		c.arrivals = append(c.arrivals, a)
		c.Data = append(c.Data, p.data...)
	}
}

// acknowledges returns the first packet that acknowledges the other stream up to an offset.
func (h *half) acknowledges(to int64) (Mark, bool) {
	i := sort.Search(len(h.segments), func(i int) bool { return h.segments[i].acked >= to })
	if i == len(h.segments) {
		return Mark{}, false
	}
	return h.segments[i].Mark, true
}

// addMissing notes the gaps before, between and behind the chunks, up to reach.
func (h *half) addMissing(reach int64, cuts []Missing) {
	at, near, next := int64(0), 0, 0
	sort.Slice(cuts, func(i, j int) bool { return cuts[i].Offset < cuts[j].Offset })
	add := func(to int64, near int) {
		if to <= at {
			return
		}
		for next < len(cuts) && cuts[next].Offset+cuts[next].Bytes <= at {
			next++
		}
		cut := next < len(cuts) && cuts[next].Offset < to
		h.Missing = append(h.Missing, Missing{Offset: at, Bytes: to - at, Near: near, Cut: cut})
	}
	for _, c := range h.Chunks {
		add(c.Offset, c.At(0).Packet)
		at = c.end()
		near = c.At(len(c.Data) - 1).Packet
	}
	if len(cuts) > 0 && near == 0 {
		near = cuts[0].Near
	}
	add(reach, near)
}

// addUnseen notes bytes that were acknowledged and are not in the capture. fin is the offset of
// the FIN, -1 when not known.
func (h *half) addUnseen(other *half, fin int64) {
	end := int64(0)
	if n := len(h.Chunks); n > 0 {
		end = h.Chunks[n-1].end()
	}
	for _, m := range h.Missing {
		end = max(end, m.Offset+m.Bytes)
	}
	for i := range other.segments {
		s := &other.segments[i]
		beyond := s.acked - end
		if beyond == 1 && fin >= 0 {
			beyond = 0 // a FIN counts as a byte
		}
		if beyond > 0 {
			h.Missing = append(h.Missing, Missing{Offset: end, Bytes: beyond, Near: s.Mark.Packet})
			end = s.acked
		}
	}
}
